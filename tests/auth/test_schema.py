import pytest
import sqlalchemy as sa


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE users SET username = 'with@sign'",
        "UPDATE users SET email = 'without sign'",
        "UPDATE users SET password_hash = 'plain text'",
        "UPDATE sessions SET expires_at = last_used_at",
        "UPDATE refresh_tokens SET token_hash = '\\x00'",
        "UPDATE signing_keys SET public_key = '\\x00'",
        "UPDATE users SET role = 'admin'",
        "UPDATE users SET request_id = 'r'",
        "UPDATE users SET request_id = 'r', request_hash = '\\x00'",
        "UPDATE api_keys SET scopes = '{}'",
        "UPDATE api_keys SET scopes = '{everything}'",
        "UPDATE api_keys SET key_hash = '\\x00'",
        "UPDATE api_keys SET prefix = 'igk_and all of the secret'",
        "UPDATE api_keys SET prefix = 'sk-123456789'",
        "UPDATE api_keys SET expires_at = created_at",
        "INSERT INTO api_keys SELECT uuidv7(), user_id, name, scopes, key_hash, prefix, NULL, created_at FROM api_keys",
        (
            "INSERT INTO api_keys SELECT uuidv7(), user_id, name, scopes, sha256('x'), prefix, request_id, created_at"
            " FROM api_keys"
        ),
        "UPDATE erasures SET user_hash = '\\x00'",
        "UPDATE erasures SET pending = '{gateway}'",
        "UPDATE erasures SET pending = '{}'",
        "UPDATE erasures SET user_id = NULL",
        "UPDATE erasures SET finished_at = now()",
        "INSERT INTO erasures SELECT sha256('x'), user_id, pending, created_at FROM erasures",
        "INSERT INTO revocations VALUES (uuidv7())",
        "INSERT INTO attempts VALUES ('x', now())",
        "INSERT INTO users SELECT uuidv7(), upper(username), 'a@b', password_hash, created_at FROM users",
        "INSERT INTO users SELECT uuidv7(), 'other', upper(email), password_hash, created_at FROM users",
    ],
)
def test_the_database_itself_refuses_what_cannot_be(world, broken):
    tokens = world.signed_in()
    world.delete_me(tokens)
    world.new_key(world.signed_in(), request_id="r")

    with pytest.raises(sa.exc.IntegrityError):
        world.sql(broken)
