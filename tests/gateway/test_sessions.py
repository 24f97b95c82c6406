"""Sessions and passwords over REST."""

from uuid import uuid4

from grpc import StatusCode
from imagegen.auth.v1 import auth_service_pb2 as auth

from tests.gateway.builders import NOON_TEXT, a_session, refused
from tests.gateway.neighbours import Refusal

TOKENS = auth.LoginResponse(tokens=auth.Tokens(access_token="a", refresh_token="r"))


def test_sessions_are_listed_with_what_signed_in(client, behind):
    session = a_session(is_current=True)
    behind.auth.answers["ListSessions"] = auth.ListSessionsResponse(sessions=[session])
    assert client.get("/api/v1/auth/sessions").json() == {
        "sessions": [
            {
                "id": session.id,
                "device": "curl/8",
                "created_at": NOON_TEXT,
                "last_used_at": NOON_TEXT,
                "expires_at": NOON_TEXT,
                "is_current": True,
            }
        ]
    }


def test_a_login_tells_what_signs_in_as_far_as_it_is_text(visitor, behind):
    behind.auth.answers["Login"] = TOKENS
    body = {"username": "lin", "password": "x"}
    for sent, device in [("phone\tü/1", "phone/1"), ("x" * 300, "x" * 200), ("", "")]:
        visitor.post("/api/v1/auth/login", json=body, headers={"user-agent": sent.encode("ascii", "ignore").decode()})
        assert behind.auth.last.message.device == device


def test_one_session_is_ended(client, behind):
    behind.auth.answers["EndSession"] = auth.EndSessionResponse()
    session_id = str(uuid4())
    assert client.delete(f"/api/v1/auth/sessions/{session_id}").status_code == 204
    assert behind.auth.last.message.session_id == session_id


def test_a_session_that_is_not_there_is_404(client, behind):
    behind.auth.answers["EndSession"] = Refusal(StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
    refused(client.delete(f"/api/v1/auth/sessions/{uuid4()}"), 404, "session_not_found")
    refused(client.delete("/api/v1/auth/sessions/no-uuid"), 404, "session_not_found")


def test_logging_out_everywhere_answers_204(client, behind):
    behind.auth.answers["LogoutEverywhere"] = auth.LogoutEverywhereResponse()
    assert client.delete("/api/v1/auth/sessions").status_code == 204
    assert [call.method for call in behind.auth.asked] == ["LogoutEverywhere"]


def test_a_password_is_changed(client, behind):
    behind.auth.answers["ChangePassword"] = auth.ChangePasswordResponse()
    body = {"current_password": "old and good", "new_password": "new and better"}
    assert client.post("/api/v1/auth/password", json=body).status_code == 204
    assert behind.auth.last.message == auth.ChangePasswordRequest(**body)


def test_what_is_wrong_with_a_password_is_named(client, behind):
    body = {"current_password": "old and good", "new_password": "password"}
    behind.auth.answers["ChangePassword"] = Refusal(
        StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields=[("new_password", "is a common one")]
    )
    problem = refused(client.post("/api/v1/auth/password", json=body), 422, "invalid_field")
    assert problem["errors"] == [{"pointer": "#/new_password", "detail": "is a common one"}]
    behind.auth.answers["ChangePassword"] = Refusal(StatusCode.PERMISSION_DENIED, "WRONG_PASSWORD")
    refused(client.post("/api/v1/auth/password", json=body), 403, "wrong_password")
    behind.auth.answers["ChangePassword"] = Refusal(
        StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS", retry_after=29.5
    )
    response = client.post("/api/v1/auth/password", json=body)
    refused(response, 429, "too_many_attempts")
    assert response.headers["retry-after"] == "30"


def test_an_account_is_deleted_by_its_password(client, behind):
    behind.auth.answers["DeleteMe"] = auth.DeleteMeResponse()
    response = client.request("DELETE", "/api/v1/auth/me", json={"password": "old and good"})
    assert response.status_code == 204
    assert behind.auth.last.message.password == "old and good"


def test_an_account_is_not_deleted_without_a_body(client, behind):
    problem = refused(client.delete("/api/v1/auth/me"), 422, "invalid_field")
    assert problem["errors"][0]["pointer"] == "#"
    assert behind.auth.asked == []
