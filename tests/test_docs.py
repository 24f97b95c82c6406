"""What the documents say about this repository is true of it: links lead somewhere, commands exist, sums come out."""

import doctest
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for folder in (".", "app", "deploy", "docs", "services", "tests")
    for path in (PROJECT.glob("*.md") if folder == "." else PROJECT.joinpath(folder).rglob("*.md"))
    if "node_modules" not in path.parts
)
TARGETS = set(re.findall(r"^([a-z-]+):", PROJECT.joinpath("Makefile").read_text(), re.MULTILINE))

FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
OUTSIDE = ("http://", "https://", "mailto:")

pytestmark = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))


def anchors(document):
    """Of each heading, as GitHub makes them: lower case, spaces to hyphens, no other punctuation; repeats counted."""
    seen = {}
    for heading in re.findall(r"^#+ (.+)$", FENCED.sub("", document.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        seen[anchor] = seen.get(anchor, -1) + 1
        yield f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor


def test_every_link_leads_to_a_file_and_a_heading(document):
    broken = []
    for link in LINK.findall(FENCED.sub("", document.read_text())):
        if link.startswith(OUTSIDE):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_target_of_make_is_in_the_makefile(document):
    named = re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z-]+)", document.read_text())
    shown = re.findall(r"^    (?:[A-Z_]+=\S+ )*make ([a-z-]+)", document.read_text(), re.MULTILINE)
    assert {*named, *shown} <= TARGETS


def test_every_module_that_is_run_is_there(document):
    named = set(re.findall(r"python -m ((?:services|deploy|tests|gateway|app)(?:\.\w+)*)", document.read_text()))
    assert [name for name in named if not is_runnable(name)] == []


def is_runnable(name):
    found = find_spec(name)
    return found is not None and (found.submodule_search_locations is None or find_spec(f"{name}.__main__") is not None)


def test_every_file_of_ours_that_is_named_is_there(document):
    named = re.findall(
        r"`((?:tests|docs|deploy|services|gateway|protos|app)/[\w./-]+\.\w+)(?:::\w+)?`", document.read_text()
    )
    assert [path for path in named if not PROJECT.joinpath(path).exists()] == []


def test_every_sum_comes_out(document):
    """`>>>` is Python that a reader may paste, and the line below it what that says."""
    failed, _ = doctest.testfile(str(document), module_relative=False, encoding="utf-8", verbose=False)
    assert failed == 0
