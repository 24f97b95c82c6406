from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from services.auth.passwords import MEMORY_KIB
from services.auth.settings import Settings


@pytest.fixture
def environment(monkeypatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AUTH_DATABASE_URL", "postgresql://auth:secret@localhost/auth")
    monkeypatch.setenv("AUTH_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("AUTH_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    return monkeypatch


def test_the_first_key_encrypts_and_every_key_decrypts(environment):
    old, new = Fernet.generate_key(), Fernet.generate_key()
    environment.setenv("AUTH_ENCRYPTION_KEYS", f"{new.decode()},{old.decode()}")
    encryption = Settings().encryption()

    assert Fernet(new).decrypt(encryption.encrypt(b"x")) == b"x"
    assert encryption.decrypt(Fernet(old).encrypt(b"y")) == b"y"


@pytest.mark.parametrize("keys", ["", "nonsense", "nonsense,"])
def test_a_malformed_key_stops_the_start(environment, keys):
    environment.setenv("AUTH_ENCRYPTION_KEYS", keys)

    with pytest.raises(ValueError, match="Fernet key"):
        Settings().encryption()


@pytest.mark.parametrize("name", ["AUTH_DATABASE_URL", "AUTH_LISTEN", "AUTH_ENCRYPTION_KEYS"])
def test_a_missing_setting_is_named_and_the_others_are_not_quoted(environment, name):
    environment.delenv(name)

    with pytest.raises(ValidationError) as caught:
        Settings()

    assert name.removeprefix("AUTH_").lower() in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_limits_are_counts_in_ten_minutes(environment):
    environment.setenv("AUTH_ACCOUNT_FAILURES", "5")
    limits = Settings().limits()

    assert (limits.account_failures.count, limits.account_failures.interval) == (5, timedelta(minutes=2))
    assert (limits.address_failures.count, limits.address_registrations.count) == (50, 100)


@pytest.mark.parametrize("name", ["AUTH_ACCOUNT_FAILURES", "AUTH_ADDRESS_FAILURES", "AUTH_ADDRESS_REGISTRATIONS"])
def test_a_limit_that_lets_nobody_in_stops_the_start(environment, name):
    environment.setenv(name, "0")

    with pytest.raises(ValidationError, match="greater than 0"):
        Settings()


def test_a_password_costs_what_the_operator_says(environment):
    assert Settings().password_memory_kib == MEMORY_KIB
    environment.setenv("AUTH_PASSWORD_MEMORY_KIB", "65536")
    assert Settings().password_memory_kib == 64 * 1024


@pytest.mark.parametrize("given", ["19455", "0", "-1", "much"])
def test_a_password_that_would_cost_less_than_owasp_recommends_stops_the_start(environment, given):
    environment.setenv("AUTH_PASSWORD_MEMORY_KIB", given)

    with pytest.raises(ValidationError) as caught:
        Settings()

    [error] = caught.value.errors()
    assert error["loc"] == ("password_memory_kib",)
