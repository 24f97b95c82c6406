"""`python -m services.auth`, beside a running auth."""

import jwt
import pytest
from cryptography.fernet import Fernet
from imagegen.auth.v1 import auth_service_pb2 as auth
from structlog.testing import capture_logs

from services.auth.__main__ import main
from tests.auth.conftest import refused


@pytest.fixture
def command(world, monkeypatch, capsys):
    """Runs a command and returns what it printed."""
    monkeypatch.setenv("AUTH_DATABASE_URL", world.url)
    monkeypatch.setenv("AUTH_ENCRYPTION_KEYS", world.fernet_key.decode())

    def run(line: str) -> str:
        with capture_logs():  # of auth, which runs beside it
            capsys.readouterr()
            assert main(line.split()) == 0
            return capsys.readouterr().out

    return run


def kid(tokens) -> str:
    return jwt.get_unverified_header(tokens.access_token)["kid"]


def role(tokens) -> str:
    return jwt.decode(tokens.access_token, options={"verify_signature": False})["role"]


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org"])
def test_a_grant_makes_an_operator_who_has_to_sign_in_again(world, command, name):
    world.register("ada", "ada@example.org")
    before = world.login("ada")
    [session] = world.sessions(before)

    said = command(f"roles grant {name} operator")

    assert said == f"{name} is an operator now, and has to sign in again.\n"
    assert world.revoked() == {session.id}
    with refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
        world.refresh(before.refresh_token)
    after = world.login("ada")
    assert (role(before), role(after), role(world.refresh(after.refresh_token))) == ("user", "operator", "operator")
    assert world.me(after).role == auth.ROLE_OPERATOR


def test_a_grant_that_changes_nothing_ends_nothing(world, command):
    world.register("ada")
    tokens = world.login("ada")

    assert command("roles grant ada user") == "ada is a user already.\n"
    assert world.refresh(tokens.refresh_token)


def test_the_operators_are_listed(world, command):
    assert command("roles list") == "Nobody is an operator.\n"
    for name in ("bob", "ada", "eve"):
        world.register(name)
    command("roles grant bob operator")
    command("roles grant ada operator")

    assert command("roles list") == "ada\nbob\n"


def test_an_account_that_is_not_there_is_one_clear_line(command):
    with pytest.raises(SystemExit, match="There is no account 'nobody'"):
        command("roles grant nobody operator")


def test_a_new_signing_key_signs_at_once_and_signs_nobody_out(world, command):
    before = world.signed_in()

    said = command("keys rotate-signing")

    assert world.me(before)
    after = world.refresh(before.refresh_token)
    assert kid(after) != kid(before)
    assert f"signed with {kid(after)} now; the former key is listed for 11 minutes more" in said
    assert world.me(after)
    assert [key.kid for key in world.jwks()] == [kid(after), kid(before)]
    world.clock.advance(minutes=11, seconds=1)
    assert [key.kid for key in world.jwks()] == [kid(after)]


def test_an_old_encryption_key_can_be_dropped_after_all_is_encrypted_by_the_new(world, command, monkeypatch):
    before = world.signed_in()
    command("keys rotate-signing")
    old, world.fernet_key = world.fernet_key, Fernet.generate_key()
    monkeypatch.setenv("AUTH_ENCRYPTION_KEYS", f"{world.fernet_key.decode()},{old.decode()}")

    assert command("keys reencrypt").startswith("3 values are encrypted by the first key")

    with world.replica() as replica:
        world.stub = replica
        assert world.me(before)
        world.delete_me(world.refresh(before.refresh_token))


def test_a_value_that_no_key_opens_leaves_all_as_they_are(world, command, monkeypatch):
    kept = world.sql("SELECT private_key_encrypted FROM signing_keys")
    monkeypatch.setenv("AUTH_ENCRYPTION_KEYS", Fernet.generate_key().decode())

    with pytest.raises(SystemExit, match="Nothing was changed: none of the encryption keys opens"):
        command("keys reencrypt")

    assert world.sql("SELECT private_key_encrypted FROM signing_keys") == kept


@pytest.mark.parametrize("name", ["AUTH_DATABASE_URL", "AUTH_ENCRYPTION_KEYS"])
def test_a_missing_variable_is_one_clear_line(command, monkeypatch, name):
    monkeypatch.delenv(name)

    with pytest.raises(SystemExit, match=f"{name} is not set"):
        command("roles list")


def test_a_database_that_is_away_is_one_clear_line(command, monkeypatch):
    monkeypatch.setenv("AUTH_DATABASE_URL", "postgresql://auth:secret@127.0.0.1:1/auth")

    with pytest.raises(SystemExit, match="the database is not available now") as caught:
        command("roles list")
    assert "secret" not in str(caught.value)
