"""schemathesis in its short form; `make fuzz` is the long one."""

import pytest

from tests.accounts import Account, an_operator
from tests.security.fuzz import ENDING, OPERATORS, fuzz


def test_two_people_find_no_fault_and_nothing_of_each_other(installation):
    people = {name: Account(installation) for name in ("one", "other")}
    assert_no_fault(fuzz(installation, people, examples=2, seed=1))


@pytest.mark.parametrize("operation", ENDING)
def test_what_ends_sessions_is_tried_by_somebody_who_may_lose_theirs(installation, operation):
    people = {"third": Account(installation)}
    assert_no_fault(fuzz(installation, people, examples=5, seed=1, only=[f"--include-operation-id={operation}"]))


def test_an_operator_finds_no_fault(installation):
    people = {"operator": an_operator(installation)}
    assert_no_fault(fuzz(installation, people, examples=3, seed=1, only=OPERATORS))


def assert_no_fault(told: tuple[int, str]) -> None:
    code, printed = told
    assert code == 0, printed
