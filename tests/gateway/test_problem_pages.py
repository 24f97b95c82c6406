"""The `type` of a problem leads to a page for people, and for programs."""

import re

import pytest

from gateway.problems import CODES
from gateway.reference.advice import EXPLANATIONS
from tests.gateway.builders import refused


def test_every_code_is_explained():
    assert EXPLANATIONS.keys() == CODES.keys()


def test_the_type_of_a_problem_leads_to_its_page(visitor):
    problem = refused(visitor.get("/nothing"), 404, "not_found")
    page = visitor.get(problem["type"], headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "There is nothing at this address." in page.text


def test_the_type_has_the_scheme_and_host_that_the_client_used(visitor):
    headers = {"Host": "pictures.example.com:8443", "X-Forwarded-Proto": "https"}
    assert visitor.get("/nothing", headers=headers).json()["type"] == (
        "https://pictures.example.com:8443/problems/not_found"
    )


@pytest.mark.parametrize("host", ["a b", "[", "evil.example/x", "ü.example", "x:port"])
def test_a_host_that_is_none_is_not_repeated(visitor, host):
    problem = visitor.get("/nothing", headers={"Host": host.encode()}).json()
    assert problem["type"] == "http://localhost/problems/not_found"


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("language", "advice"), [("en", "What to do"), ("zh-CN", "怎么办")])
def test_a_page_says_what_the_code_means_and_what_to_do(visitor, code, language, advice):
    page = visitor.get(f"/problems/{code}", headers={"accept": "text/html,*/*;q=0.8", "accept-language": language})
    explained = getattr(EXPLANATIONS[code], language[:2])
    assert page.headers["content-language"] == language[:2]
    assert {"Accept", "Accept-Language"} == set(page.headers["vary"].split(", "))
    for shown in (code, str(CODES[code][0]), advice):
        assert shown in page.text
    assert re.sub(r"&#x27;", "'", page.text).count(explained.meaning) == 1
    assert not re.search(r"https?://|<script|<style|\sstyle=", page.text)


def test_a_program_gets_the_page_as_json(visitor):
    headers = {"accept": "application/json", "accept-language": "zh"}
    assert visitor.get("/problems/task_not_found", headers=headers).json() == {
        "code": "task_not_found",
        "status": 404,
        "title": "Not Found",
        "meaning": "没有这个任务，或它属于他人。",
        "advice": "请重新读取列表，以列表所示为准。",
    }


def test_all_codes_are_listed(visitor):
    listed = visitor.get("/problems", headers={"accept": "application/problem+json, */*;q=0.1"}).json()["problems"]
    assert [problem["code"] for problem in listed] == list(CODES)
    page = visitor.get("/problems").text
    assert set(re.findall(r'href="/problems/(\w+)"', page)) == CODES.keys()


@pytest.mark.parametrize("code", ["nothing", "NOT_FOUND", "not_found/", "%00", "%ff"])
def test_a_code_that_is_none_is_not_found(visitor, code):
    refused(visitor.get(f"/problems/{code}"), 404, "not_found")
