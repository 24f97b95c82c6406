"""schemathesis in its short form; `make fuzz` is the long one, and tries what ends sessions as well."""

from collections.abc import Iterator

import pytest

from tests.accounts import Account, an_operator
from tests.security.fuzz import OPERATORS, fuzz


@pytest.fixture
def people(installation) -> Iterator[dict[str, Account]]:
    """Two, who take their tasks with them when they leave: some would keep the engine busy for minutes."""
    people = {name: Account(installation) for name in ("one", "other")}
    yield people
    for person in people.values():
        person.delete()


@pytest.fixture
def operator(installation) -> Iterator[Account]:
    """What this one may have drained is resumed."""
    operator = an_operator(installation)
    yield operator
    operator.http.post(f"/api/v1/admin/workers/{installation.secret('engine_id')}/resume").raise_for_status()


def test_two_people_find_no_fault_and_nothing_of_each_other(installation, people):
    assert_no_fault(fuzz(installation, people, examples=1, seed=1))


def test_an_operator_finds_no_fault(installation, operator):
    assert_no_fault(fuzz(installation, {"operator": operator}, examples=1, seed=1, only=OPERATORS))


def assert_no_fault(told: tuple[int, str]) -> None:
    code, printed = told
    assert code == 0, printed
