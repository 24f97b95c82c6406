import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from services.auth.passwords import LEAST_MEMORY_KIB, MEMORY_KIB, Passwords, hasher
from tests.auth.conftest import CHEAP


class Recorder(PasswordHasher):
    """Remembers what it has checked."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checked: list[str] = []

    def verify(self, hash: str, password: str) -> bool:  # noqa: A002 - the name is argon2-cffi's
        self.checked.append(hash)
        return super().verify(hash, password)


def test_only_the_password_itself_matches():
    passwords = Passwords(CHEAP)
    kept = passwords.hash("opens it")

    assert passwords.verify(kept, "opens it")
    assert not passwords.verify(kept, "opens not")
    assert not passwords.verify(None, "opens it")


def test_the_same_password_is_kept_differently_each_time():
    passwords = Passwords(CHEAP)

    assert passwords.hash("twice") != passwords.hash("twice")


def test_an_account_that_is_not_there_costs_the_same_work_as_one_that_is():
    recorder = Recorder()
    passwords = Passwords(recorder)
    kept = passwords.hash("right")

    passwords.verify(kept, "wrong")
    passwords.verify(None, "wrong")

    known, unknown = recorder.checked
    assert extract_parameters(unknown) == extract_parameters(known)


@pytest.mark.parametrize(("chosen", "typed"), [("caf\u00e9", "cafe\u0301"), ("pass\uff11", "pass1")])
def test_a_password_is_the_same_from_every_keyboard(chosen, typed):
    passwords = Passwords(CHEAP)

    assert passwords.verify(passwords.hash(chosen), typed)


@pytest.mark.parametrize("memory_kib", [LEAST_MEMORY_KIB, MEMORY_KIB])
def test_a_stolen_table_costs_its_thief_at_least_what_owasp_recommends(memory_kib):
    cost = extract_parameters(Passwords(hasher(memory_kib)).hash("x"))

    assert cost.type is Type.ID
    assert cost.memory_cost == memory_kib >= 19 * 1024
    assert cost.time_cost >= 2
