"""The page's files fit together: what a browser would ask for is served, and nothing is asked of foreign hosts."""

import re

import pytest
from imagegen.generation.v1 import task_pb2

SCRIPT = "text/javascript; charset=utf-8"
STYLE = "text/css; charset=utf-8"
KINDS = {"js": SCRIPT, "css": STYLE}


def files_of(text: str) -> set[str]:
    """Paths of our own files that an HTML page or a script loads."""
    linked = re.findall(r'(?:href|src)="(/page/[^"]+)"', text)
    imported = [f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', text)]
    return {*linked, *imported}


@pytest.mark.parametrize(("path", "number"), [("/plain", 4), ("/docs", 3)])
def test_a_page_finds_every_file_that_it_loads(visitor, path, number):
    page = visitor.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    asked, waiting = set(), files_of(page.text)
    while waiting:
        name = waiting.pop()
        asked.add(name)
        response = visitor.get(name)
        assert response.status_code == 200
        assert response.headers["content-type"] == KINDS[name.rpartition(".")[2]]
        assert not re.search(r"https?://", response.text)
        waiting |= files_of(response.text) - asked
    assert len(asked) == number
    assert not re.search(r"https?://", page.text)


def test_the_page_runs_under_its_content_security_policy(visitor):
    page = visitor.get("/plain").text
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", page)


def test_the_page_has_words_for_every_reason_to_wait_in_both_languages(visitor):
    english, chinese = visitor.get("/page/texts.js").text.split("  zh: {")
    reasons = [name.removeprefix("WAITING_REASON_").lower() for name in task_pb2.WaitingReason.keys()[1:]]
    for words in (english, chinese):
        waiting = re.search(r"waiting: \{(.*?)\n    \}", words, re.DOTALL).group(1)
        assert set(re.findall(r"(\w+): ", waiting)) == set(reasons)


def test_every_word_of_the_page_exists_in_both_languages(visitor):
    english, chinese = visitor.get("/page/texts.js").text.split("  zh: {")
    keys = set(re.findall(r'data-text="(\w+)"', visitor.get("/plain").text))
    keys |= set(re.findall(r'say\("(\w+)"', visitor.get("/page/page.js").text))
    assert keys
    for key in keys:
        assert f"{key}: " in english
        assert f"{key}: " in chinese
