"""The client's words fit what the server says."""

import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from imagegen.generation.v1 import task_pb2

from api.resources import Eta
from gateway.problems import CODES
from state.shapes import SHAPES
from texts import WORDS
from texts.spans import remaining
from views.operate import on_workers

LANGUAGES = sorted(WORDS)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def names_of(enum, prefix: str) -> set[str]:
    return {name.removeprefix(prefix).lower() for name in enum.keys()[1:]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_words_for_every_reason_to_wait_and_to_fail(language):
    say = WORDS[language]
    assert set(say.waiting) == names_of(task_pb2.WaitingReason, "WAITING_REASON_")
    assert set(say.failures) == names_of(task_pb2.FailureReason, "FAILURE_REASON_")
    assert set(say.shapes) == set(SHAPES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_that_has_words_is_one_that_the_gateway_knows(language):
    assert set(WORDS[language].errors) <= set(CODES)


def test_the_languages_have_words_for_the_same_errors_with_the_same_blanks():
    english, chinese = WORDS["en"], WORDS["zh"]
    assert set(english.errors) == set(chinese.errors)
    for field in fields(english):
        mine, theirs = str(getattr(english, field.name)), str(getattr(chinese, field.name))
        assert set(re.findall(r"\{\w+\}", mine)) == set(re.findall(r"\{\w+\}", theirs)), field.name


@pytest.mark.parametrize(
    ("half", "most", "said"),
    [
        (3, 4, "about 5 s left"),
        (12, 40, "about 15 s left, at most 40 s"),
        (70, 170, "about 1 min left, at most 3 min"),
        (3000, 9000, "about 50 min left, at most 2 h"),
        (-20, 3, "about 5 s left"),
        (-20, -1, "takes longer than usual"),
    ],
)
def test_what_is_left_is_said_as_people_speak(half, most, said):
    eta = Eta(NOW + timedelta(seconds=half), NOW + timedelta(seconds=most))
    assert remaining(eta, NOW, WORDS["en"]) == said


@pytest.mark.parametrize(
    ("having", "workers", "said"),
    [(0, 1, "on no worker"), (1, 1, "on the only worker"), (1, 2, "on 1 of 2 workers"), (0, 0, "on no worker")],
)
def test_one_worker_is_spoken_of_as_one(having, workers, said):
    assert on_workers(having, workers, WORDS["en"]) == said
