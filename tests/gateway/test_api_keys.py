"""API keys over REST."""

from uuid import uuid4

import pytest
from grpc import StatusCode
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.runtime.v1 import access_pb2

from tests.gateway.builders import NOON, NOON_TEXT, an_api_key, refused
from tests.gateway.neighbours import Refusal

BODY = {"name": "nightly", "scopes": ["generate", "read"]}


def test_a_new_key_shows_its_secret(client, behind):
    key = an_api_key()
    behind.auth.answers["CreateApiKey"] = auth.CreateApiKeyResponse(api_key=key, secret="igk_secret")
    response = client.post("/api/v1/auth/keys", json={**BODY, "expires_in": 3600}, headers={"idempotency-key": "once"})
    assert response.status_code == 201
    assert "idempotent-replayed" not in response.headers
    assert response.json() == {
        "id": key.id,
        "name": "nightly",
        "scopes": ["generate", "read"],
        "prefix": "igk_abcd",
        "created_at": NOON_TEXT,
        "expires_at": None,
        "last_used_at": None,
        "revoked_at": None,
        "key": "igk_secret",
        "secret_shown": True,
    }
    asked = behind.auth.last.message
    assert (asked.request_id, asked.name, list(asked.scopes), asked.expires_in.seconds) == (
        "once",
        "nightly",
        [access_pb2.SCOPE_GENERATE, access_pb2.SCOPE_READ],
        3600,
    )


def test_a_repeat_shows_the_key_without_its_secret(client, behind):
    behind.auth.answers["CreateApiKey"] = auth.CreateApiKeyResponse(api_key=an_api_key(), replayed=True)
    response = client.post("/api/v1/auth/keys", json=BODY, headers={"idempotency-key": "once"})
    assert (response.status_code, response.headers["idempotent-replayed"]) == (201, "true")
    assert (response.json()["key"], response.json()["secret_shown"]) == (None, False)
    assert not behind.auth.last.message.HasField("expires_in")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["read"]}, "#/name"),
        ({"name": "x", "scopes": ["everything"]}, "#/scopes/0"),
        ({"name": "x", "scopes": "read"}, "#/scopes"),
        ({"name": "x", "scopes": ["read"], "expires_in": 59}, "#/expires_in"),
        ({"name": "x", "scopes": ["read"], "expires_in": "60"}, "#/expires_in"),
        ({"name": "x", "scopes": ["read"], "key": "mine"}, "#/key"),
    ],
)
def test_what_is_wrong_with_the_body_is_pointed_at(client, behind, body, pointer):
    problem = refused(client.post("/api/v1/auth/keys", json=body), 422, "invalid_field")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert behind.auth.asked == []


def test_what_auth_refuses_is_passed_on(client, behind):
    for code, reason, status in [
        (StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED", 422),
        (StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_API_KEYS", 429),
        (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", 403),
    ]:
        behind.auth.answers["CreateApiKey"] = Refusal(code, reason)
        refused(client.post("/api/v1/auth/keys", json=BODY), status, reason.lower())


def test_keys_are_listed_with_their_ends(client, behind):
    key = an_api_key(expire_time=NOON, last_use_time=NOON, revoke_time=NOON)
    behind.auth.answers["ListApiKeys"] = auth.ListApiKeysResponse(api_keys=[key])
    (listed,) = client.get("/api/v1/auth/keys").json()["keys"]
    assert (listed["expires_at"], listed["last_used_at"], listed["revoked_at"]) == (NOON_TEXT,) * 3
    assert "key" not in listed


def test_a_key_is_revoked(client, behind):
    behind.auth.answers["RevokeApiKey"] = auth.RevokeApiKeyResponse()
    key_id = str(uuid4())
    assert client.delete(f"/api/v1/auth/keys/{key_id}").status_code == 204
    assert behind.auth.last.message.api_key_id == key_id
    behind.auth.answers["RevokeApiKey"] = Refusal(StatusCode.NOT_FOUND, "API_KEY_NOT_FOUND")
    refused(client.delete(f"/api/v1/auth/keys/{key_id}"), 404, "api_key_not_found")
    refused(client.delete("/api/v1/auth/keys/x"), 404, "api_key_not_found")


def test_an_account_is_registered_once_however_often_it_is_asked_for(visitor, behind):
    from tests.gateway.builders import a_user

    behind.auth.answers["Register"] = auth.RegisterResponse(user=a_user(role=auth.ROLE_OPERATOR), replayed=True)
    account = {"username": "lin", "email": "lin@example.com", "password": "correct horse battery"}
    response = visitor.post("/api/v1/auth/register", json=account, headers={"idempotency-key": "once"})
    assert (response.status_code, response.headers["idempotent-replayed"]) == (201, "true")
    assert response.json()["role"] == "operator"
    assert behind.auth.last.message.request_id == "once"
