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
        "INSERT INTO users SELECT uuidv7(), upper(username), 'a@b', password_hash, created_at FROM users",
        "INSERT INTO users SELECT uuidv7(), 'other', upper(email), password_hash, created_at FROM users",
    ],
)
def test_the_database_itself_refuses_what_cannot_be(world, broken):
    world.signed_in()

    with pytest.raises(sa.exc.IntegrityError):
        world.sql(broken)
