"""The reference's files fit together: what a browser would ask for is served, and nothing is asked of foreign hosts."""

import re

import pytest

KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


@pytest.mark.parametrize(("path", "number"), [("/docs", 3), ("/problems", 2)])
def test_a_page_finds_every_file_that_it_loads(visitor, path, number):
    page = visitor.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert not re.search(r"https?://", page.text)
    files = set(re.findall(r'(?:href|src)="(/reference/[^"]+)"', page.text))
    assert len(files) == number
    for name in files:
        file = visitor.get(name)
        assert file.status_code == 200
        assert file.headers["content-type"] == KINDS[name.rpartition(".")[2]]
        assert not re.search(r"https?://|import ", file.text)


@pytest.mark.parametrize("path", ["/docs", "/problems"])
def test_a_page_runs_under_its_content_security_policy(visitor, path):
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", visitor.get(path).text)
