import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from imagegen.auth.v1 import auth_service_pb2 as auth

from tests.gateway.builders import NOON_TEXT, a_user, refused
from tests.gateway.neighbours import Refusal

ACCOUNT = {"username": "lin", "email": "lin@example.com", "password": "correct horse"}
TOKENS = auth.Tokens(access_token="a.b.c", refresh_token="r", expires_in=Duration(seconds=600))
TOKENS_JSON = {"access_token": "a.b.c", "refresh_token": "r", "token_type": "Bearer", "expires_in": 600}


def test_registering_answers_201_with_the_account(visitor, behind):
    user = a_user()
    behind.auth.answers["Register"] = auth.RegisterResponse(user=user)
    response = visitor.post("/api/v1/auth/register", json=ACCOUNT)
    assert response.status_code == 201
    assert response.json() == {
        "id": user.id,
        "username": "lin",
        "email": "lin@example.com",
        "role": "user",
        "created_at": NOON_TEXT,
    }
    assert behind.auth.last.message == auth.RegisterRequest(**ACCOUNT)


@pytest.mark.parametrize("reason", ["USERNAME_TAKEN", "EMAIL_TAKEN"])
def test_a_taken_name_is_a_conflict(visitor, behind, reason):
    behind.auth.answers["Register"] = Refusal(StatusCode.ALREADY_EXISTS, reason)
    refused(visitor.post("/api/v1/auth/register", json=ACCOUNT), 409, reason.lower())


def test_logging_in_answers_tokens_that_no_cache_may_keep(visitor, behind):
    behind.auth.answers["Login"] = auth.LoginResponse(tokens=TOKENS)
    response = visitor.post("/api/v1/auth/login", json={"username": "lin@example.com", "password": "x"})
    assert response.status_code == 200
    assert response.json() == TOKENS_JSON
    assert response.headers["cache-control"] == "no-store"
    asked = behind.auth.last.message
    assert (asked.username, asked.password) == ("lin@example.com", "x")
    assert 8 < behind.auth.last.seconds_left < 11


def test_a_wrong_password_is_401(visitor, behind):
    behind.auth.answers["Login"] = Refusal(StatusCode.UNAUTHENTICATED, "BAD_CREDENTIALS")
    refused(visitor.post("/api/v1/auth/login", json={"username": "lin", "password": "x"}), 401, "bad_credentials")


def test_refreshing_answers_new_tokens(visitor, behind):
    behind.auth.answers["Refresh"] = auth.RefreshResponse(tokens=TOKENS)
    response = visitor.post("/api/v1/auth/refresh", json={"refresh_token": "old"})
    assert response.json() == TOKENS_JSON
    assert behind.auth.last.message.refresh_token == "old"


@pytest.mark.parametrize("reason", ["REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_REUSED"])
def test_a_bad_refresh_token_is_401(visitor, behind, reason):
    behind.auth.answers["Refresh"] = Refusal(StatusCode.UNAUTHENTICATED, reason)
    refused(visitor.post("/api/v1/auth/refresh", json={"refresh_token": "old"}), 401, reason.lower())


def test_an_access_token_is_not_passed_on_where_the_body_says_who_calls(client, behind):
    behind.auth.answers |= {
        "Login": auth.LoginResponse(tokens=TOKENS),
        "Refresh": auth.RefreshResponse(tokens=TOKENS),
        "Logout": auth.LogoutResponse(),
        "Register": auth.RegisterResponse(user=a_user()),
    }
    client.post("/api/v1/auth/register", json=ACCOUNT)
    client.post("/api/v1/auth/login", json={"username": "lin", "password": "x"})
    client.post("/api/v1/auth/refresh", json={"refresh_token": "r"})
    client.post("/api/v1/auth/logout", json={"refresh_token": "r"})
    assert [call.method for call in behind.auth.asked] == ["Register", "Login", "Refresh", "Logout"]
    assert not any("authorization" in call.metadata for call in behind.auth.asked)


def test_logging_out_by_refresh_token_answers_204(visitor, behind):
    behind.auth.answers["Logout"] = auth.LogoutResponse()
    response = visitor.post("/api/v1/auth/logout", json={"refresh_token": "r"})
    assert (response.status_code, response.content) == (204, b"")
    assert behind.auth.last.message.refresh_token == "r"


def test_logging_out_by_access_token_needs_no_body(client, behind):
    behind.auth.answers["Logout"] = auth.LogoutResponse()
    assert client.post("/api/v1/auth/logout").status_code == 204
    assert behind.auth.last.metadata["authorization"] == client.headers["authorization"]


def test_logging_out_without_any_token_is_401(visitor, behind):
    behind.auth.answers["Logout"] = Refusal(StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    refused(visitor.post("/api/v1/auth/logout"), 401, "token_missing")


def test_my_account_is_read_with_my_token(client, behind):
    behind.auth.answers["GetMe"] = auth.GetMeResponse(user=a_user(username="mei"))
    assert client.get("/api/v1/auth/me").json()["username"] == "mei"
    assert behind.auth.last.metadata["authorization"] == client.headers["authorization"]


def test_an_account_that_is_gone_is_404(client, behind):
    behind.auth.answers["GetMe"] = Refusal(StatusCode.NOT_FOUND, "USER_NOT_FOUND")
    refused(client.get("/api/v1/auth/me"), 404, "user_not_found")


def test_only_the_fields_that_are_sent_change(client, behind):
    behind.auth.answers["UpdateMe"] = auth.UpdateMeResponse(user=a_user(email="new@example.com"))
    response = client.patch("/api/v1/auth/me", json={"email": "new@example.com", "username": None})
    assert response.json()["email"] == "new@example.com"
    assert behind.auth.last.message == auth.UpdateMeRequest(email="new@example.com")


def test_the_keys_are_a_jwk_set(visitor, behind):
    behind.auth.answers["GetJwks"] = auth.GetJwksResponse(keys=[auth.Jwk(kid="k1", x="abc")])
    response = visitor.get("/.well-known/jwks.json")
    assert response.json() == {
        "keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "k1", "x": "abc"}]
    }
    assert response.headers["cache-control"] == "public, max-age=300"
