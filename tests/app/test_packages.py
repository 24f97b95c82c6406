"""What `flet build` and the static build need to know of the client's modules is true of them."""

import ast
import sys
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from app.static.package import LIBRARIES

APP = Path("app")
SOURCE = APP / "src"

BROWSERS = {"js", "pyodide"}
"""Modules that Pyodide makes."""

BROWSER = {"platform_system": "Emscripten", "sys_platform": "emscripten", "python_version": "3.14", "extra": ""}

SOCKETS = {"anyio", "certifi", "httpcore"}
"""What httpx wants outside of browsers alone."""


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((APP / "pyproject.toml").read_text())


def imported() -> set[str]:
    """Distributions that the client's modules import."""
    names = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.partition(".")[0])
    ours = {path.stem for path in SOURCE.iterdir()}
    return {name.replace("_", "-") for name in names - ours - BROWSERS - set(sys.stdlib_module_names)}


@pytest.fixture(scope="module")
def carried(project):
    """What a package carries beside the client's modules."""
    return [Requirement(each) for each in project["project"]["dependencies"]]


def test_a_package_carries_what_the_client_imports(carried):
    assert {each.name for each in carried} == imported()


def test_a_package_carries_the_versions_that_are_tested(carried):
    assert all(each.specifier for each in carried)
    assert [each for each in carried if version(each.name) not in each.specifier] == []


def test_the_static_build_carries_all_that_its_libraries_want():
    named = [Requirement(each) for library in LIBRARIES for each in requires(library) or ()]
    wanted = {each.name for each in named if each.marker is None or each.marker.evaluate(BROWSER)}
    assert (imported() | wanted) - SOCKETS == set(LIBRARIES)


def test_a_package_has_an_icon_that_stores_take(project):
    header = (SOURCE / "assets" / "icon.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert [int.from_bytes(header[place : place + 4]) for place in (16, 20)] == [1024, 1024]
    assert (APP / project["tool"]["flet"]["app"]["path"] / "main.py").is_file()
