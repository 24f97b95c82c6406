"""schemathesis in its short form; `make fuzz` is the long one, and tries what ends sessions as well."""

from tests.accounts import Account, an_operator
from tests.security.fuzz import OPERATORS, fuzz


def test_two_people_find_no_fault_and_nothing_of_each_other(installation):
    people = {name: Account(installation) for name in ("one", "other")}
    assert_no_fault(fuzz(installation, people, examples=1, seed=1))


def test_an_operator_finds_no_fault(installation):
    people = {"operator": an_operator(installation)}
    assert_no_fault(fuzz(installation, people, examples=1, seed=1, only=OPERATORS))


def assert_no_fault(told: tuple[int, str]) -> None:
    code, printed = told
    assert code == 0, printed
