"""Share links over REST: making, listing, changing and revoking them."""

from uuid import uuid4

import pytest
from grpc import StatusCode
from imagegen.results.v1 import share_service_pb2 as shares

from tests.gateway.builders import NOON, NOON_TEXT, a_share, refused
from tests.gateway.neighbours import Refusal

TOKEN = "t0ken_-" + "A" * 36
BODY = {"expires_in": 3600, "password": "fox", "hide_prompt": True, "allow_download": True}


def shares_of(result_id: str) -> str:
    return f"/api/v1/results/{result_id}/shares"


def test_a_new_link_is_shown_as_the_client_would_open_it(client, behind):
    share = a_share(has_password=True, hide_prompt=True, allow_download=True, expire_time=NOON)
    behind.results.answers["CreateShare"] = shares.CreateShareResponse(share=share, token=TOKEN)
    headers = {"Idempotency-Key": "once", "Host": "pictures.example.org", "X-Forwarded-Proto": "https"}
    response = client.post(shares_of(share.result_id), json=BODY, headers=headers)
    assert response.status_code == 201
    assert "idempotent-replayed" not in response.headers
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "id": share.id,
        "result_id": share.result_id,
        "has_password": True,
        "hide_prompt": True,
        "allow_download": True,
        "created_at": NOON_TEXT,
        "expires_at": NOON_TEXT,
        "revoked_at": None,
        "url": f"https://pictures.example.org/s/{TOKEN}",
        "secret_shown": True,
    }
    asked = behind.results.last.message
    assert asked == shares.CreateShareRequest(
        request_id="once",
        result_id=share.result_id,
        expires_in={"seconds": 3600},
        password="fox",
        hide_prompt=True,
        allow_download=True,
    )


def test_a_link_needs_no_terms(client, behind):
    share = a_share()
    behind.results.answers["CreateShare"] = shares.CreateShareResponse(share=share, token=TOKEN)
    assert client.post(shares_of(share.result_id), json={}).json()["expires_at"] is None
    assert behind.results.last.message == shares.CreateShareRequest(result_id=share.result_id)


def test_a_repeat_shows_the_share_without_its_link(client, behind):
    share = a_share()
    behind.results.answers["CreateShare"] = shares.CreateShareResponse(share=share, replayed=True)
    response = client.post(shares_of(share.result_id), json={}, headers={"Idempotency-Key": "once"})
    assert (response.status_code, response.headers["idempotent-replayed"]) == (201, "true")
    assert (response.json()["url"], response.json()["secret_shown"]) == (None, False)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"expires_in": 0}, "#/expires_in"),
        ({"expires_in": 157_680_001}, "#/expires_in"),
        ({"expires_in": "3600"}, "#/expires_in"),
        ({"expires_in": 10**30}, "#/expires_in"),
        ({"password": 7}, "#/password"),
        ({"password": "\ud800"}, "#/password"),
        ({"hide_prompt": "yes"}, "#/hide_prompt"),
        ({"allow_download": None}, "#/allow_download"),
        ({"token": TOKEN}, "#/token"),
    ],
)
def test_what_is_wrong_with_the_terms_is_pointed_at(client, behind, body, pointer):
    import json

    sent = {"content": json.dumps(body), "headers": {"content-type": "application/json"}}
    problem = refused(client.post(shares_of(str(uuid4())), **sent), 422, "invalid_field")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert behind.results.asked == []


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (StatusCode.NOT_FOUND, "RESULT_NOT_FOUND", 404),
        (StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED", 422),
        (StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SHARES", 429),
        (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", 403),
    ],
)
def test_what_results_refuses_is_passed_on(client, behind, code, reason, status):
    behind.results.answers["CreateShare"] = Refusal(code, reason)
    refused(client.post(shares_of(str(uuid4())), json=BODY), status, reason.lower())


def test_the_links_of_a_picture_are_listed_page_by_page(client, behind):
    share = a_share(revoke_time=NOON)
    behind.results.answers["ListShares"] = shares.ListSharesResponse(shares=[share], next_page_token="more")
    listed = client.get(shares_of(share.result_id), params={"limit": 1, "cursor": "here"}).json()
    assert (listed["shares"][0]["revoked_at"], listed["next_cursor"]) == (NOON_TEXT, "more")
    assert "url" not in listed["shares"][0]
    assert behind.results.last.message == shares.ListSharesRequest(
        result_id=share.result_id, page_size=1, page_token="here"
    )


def test_all_of_the_callers_links_are_listed_those_of_deleted_pictures_too(client, behind):
    behind.results.answers["ListShares"] = shares.ListSharesResponse(shares=[a_share(result_id="")])
    listed = client.get("/api/v1/shares").json()
    assert (listed["shares"][0]["result_id"], listed["next_cursor"]) == (None, None)
    assert behind.results.last.message == shares.ListSharesRequest(page_size=20)


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ({}, {}),
        ({"expires_in": 60}, {"expires_in": {"seconds": 60}}),
        ({"expires_in": None}, {"never_expires": True}),
        ({"password": "hare"}, {"password": "hare"}),
        ({"password": None}, {"no_password": True}),
        ({"hide_prompt": False}, {"hide_prompt": False}),
        ({"allow_download": True}, {"allow_download": True}),
    ],
)
def test_only_what_is_named_is_changed_and_null_takes_it_away(client, behind, body, changes):
    share = a_share()
    behind.results.answers["UpdateShare"] = shares.UpdateShareResponse(share=share)
    assert client.patch(f"/api/v1/shares/{share.id}", json=body).json()["id"] == share.id
    assert behind.results.last.message == shares.UpdateShareRequest(share_id=share.id, **changes)


def test_a_link_that_has_ended_is_not_changed(client, behind):
    behind.results.answers["UpdateShare"] = Refusal(StatusCode.FAILED_PRECONDITION, "SHARE_ENDED")
    refused(client.patch(f"/api/v1/shares/{uuid4()}", json={}), 410, "share_ended")


def test_a_link_is_revoked(client, behind):
    behind.results.answers["RevokeShare"] = shares.RevokeShareResponse()
    share_id = str(uuid4())
    response = client.delete(f"/api/v1/shares/{share_id}")
    assert (response.status_code, response.content) == (204, b"")
    assert behind.results.last.message.share_id == share_id


@pytest.mark.parametrize(("verb", "method"), [("PATCH", "UpdateShare"), ("DELETE", "RevokeShare")])
def test_somebody_elses_link_is_not_found(client, behind, verb, method):
    behind.results.answers[method] = Refusal(StatusCode.NOT_FOUND, "SHARE_NOT_FOUND")
    body = {"json": {}} if verb == "PATCH" else {}
    for share_id in (uuid4(), "nonsense"):
        refused(client.request(verb, f"/api/v1/shares/{share_id}", **body), 404, "share_not_found")
