"""Errors: what a neighbour refuses, what does not parse, what does not exist."""

import json
from uuid import uuid4

import grpc
import pytest
from grpc import StatusCode
from imagegen.generation.v1 import generation_service_pb2 as generation
from structlog.testing import capture_logs

from gateway.errors import HTTP_STATUS
from gateway.problems import CODES
from tests.gateway.builders import a_task, refused
from tests.gateway.neighbours import Refusal

GENERATE = "/api/v1/generation/generate"

PLAIN = [
    '", "4": ["5", 0], "x": "',
    "%date:yyyy-MM-dd%",
    "../../etc/passwd",
    "\x00\x1b\r\n\x7f",
    "😀" * 25_000,
    "\u202egnp\u202c\u2066\u2069\ufeff\uffff",
]
"""Whether it can be painted is for generation to say."""

ME = "/api/v1/auth/me"


def test_every_grpc_status_has_a_row():
    assert HTTP_STATUS.keys() == set(grpc.StatusCode)


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
def test_every_grpc_status_without_a_reason_is_a_code_of_its_own(code):
    assert CODES[code.name.lower()] == HTTP_STATUS[code]


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
def test_a_status_without_a_reason_answers_its_own_name_and_hides_its_text(client, behind, code):
    behind.auth.answers["GetMe"] = Refusal(code, message="connect to ipv4:10.0.0.7:50051 failed")
    status, sentence = HTTP_STATUS[code]
    assert refused(client.get(ME), status, code.name.lower())["detail"] == sentence


def test_a_neighbour_that_is_away_says_when_to_come_back(client, behind):
    behind.auth.answers["GetMe"] = Refusal(StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", retry_after=2.5)
    response = client.get(ME)
    refused(response, 503, "dependency_unavailable")
    assert response.headers["retry-after"] == "3"


def test_too_many_requests_say_when_to_come_back(client, behind):
    behind.auth.answers["GetMe"] = Refusal(StatusCode.RESOURCE_EXHAUSTED, "SLOW_DOWN", retry_after=30)
    assert client.get(ME).headers["retry-after"] == "30"


@pytest.mark.parametrize(
    ("field", "source"),
    [
        ("prompt", {"pointer": "#/prompt"}),
        ("spec.seed", {"pointer": "#/spec/seed"}),
        ("task_ids[2]", {"pointer": "#/task_ids/2"}),
        ("request_id", {"header": "Idempotency-Key"}),
        ("cursor", {"header": "Last-Event-ID"}),
    ],
)
def test_a_bad_field_is_named_as_the_client_sent_it(client, behind, field, source):
    refusal = Refusal(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields=[(field, "too long")])
    behind.generation.answers["CreateTask"] = refusal
    problem = refused(client.post(GENERATE, json={"prompt": "p", "model": "m"}), 422, "invalid_field")
    assert problem["errors"] == [{**source, "detail": "too long"}]


@pytest.mark.parametrize(
    ("field", "source"),
    [
        ("page_token", {"parameter": "cursor"}),
        ("page_size", {"parameter": "limit"}),
        ("text", {"parameter": "q"}),
        ("states[1]", {"parameter": "status"}),
        ("model", {"parameter": "model"}),
        ("created_from.seconds", {"parameter": "created_from"}),
    ],
)
def test_a_bad_field_of_a_query_is_named_as_the_parameter_that_it_is(client, behind, field, source):
    refusal = Refusal(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields=[(field, "too long")])
    behind.generation.answers["ListTasks"] = refusal
    problem = refused(client.get("/api/v1/generation/history"), 422, "invalid_field")
    assert problem["errors"] == [{**source, "detail": "too long"}]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"width": "64"}, "#/width"),
        ({"width": 64.9}, "#/width"),
        ({"seed": "5"}, "#/seed"),
        ({"seed": 1.5}, "#/seed"),
        ({"seed": False}, "#/seed"),
        ({"steps": [20]}, "#/steps"),
        ({"width": True}, "#/width"),
        ({"width": 2**31}, "#/width"),
        ({"cfg": True}, "#/cfg"),
        ({"cfg": "7"}, "#/cfg"),
        ({"seed": 2**63}, "#/seed"),
        ({"prompt": None}, "#/prompt"),
        ({"prompt": 5}, "#/prompt"),
        ({"size": "64x64"}, "#/size"),
        ({"a/b~c d": 1}, "#/a~1b~0c%20d"),
    ],
)
def test_a_body_of_the_wrong_shape_is_pointed_at(client, behind, change, pointer):
    response = client.post(GENERATE, json={"prompt": "p", "model": "m", **change})
    problem = refused(response, 422, "invalid_field")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert behind.generation.asked == []


def test_every_missing_field_is_pointed_at(client, behind):
    problem = refused(client.post(GENERATE, json={}), 422, "invalid_field")
    assert {error["pointer"] for error in problem["errors"]} == {"#/prompt", "#/model"}


@pytest.mark.parametrize("body", ["[]", '"text"', "null", "1"])
def test_a_body_that_is_no_object_is_refused(client, behind, body):
    response = client.post(GENERATE, content=body, headers={"content-type": "application/json"})
    problem = refused(response, 422, "invalid_field")
    assert [error["pointer"] for error in problem["errors"]] == ["#"]


def test_a_missing_body_is_refused(client, behind):
    problem = refused(client.post(GENERATE), 422, "invalid_field")
    assert [error["pointer"] for error in problem["errors"]] == ["#"]


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b'{"prompt": "\xff"}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_malformed(client, behind, body):
    response = client.post(GENERATE, content=body, headers={"content-type": "application/json"})
    refused(response, 400, "malformed_json")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize("field", ["cfg", "seed", "width"])
def test_a_number_that_is_none_is_refused(client, behind, field, value):
    body = f'{{"prompt": "p", "model": "m", "{field}": {value}}}'
    response = client.post(GENERATE, content=body, headers={"content-type": "application/json"})
    problem = refused(response, 422, "invalid_field")
    assert [error["pointer"] for error in problem["errors"]] == [f"#/{field}"]


def test_a_number_of_a_million_digits_is_refused(client, behind):
    body = f'{{"prompt": "p", "model": "m", "seed": {"9" * 1_000_000}}}'
    response = client.post(GENERATE, content=body, headers={"content-type": "application/json"})
    refused(response, 400, "malformed_json")


@pytest.mark.parametrize("field", ["prompt", "negative_prompt", "model"])
@pytest.mark.parametrize("text", [r"\ud800", r"\udc00\ud800", r"a\udfffb"])
def test_half_a_surrogate_pair_is_refused(client, behind, field, text):
    recipe = {"prompt": "p", "model": "m", field: "HALF"}
    body = json.dumps(recipe).replace("HALF", text)
    response = client.post(GENERATE, content=body, headers={"content-type": "application/json"})
    problem = refused(response, 422, "invalid_field")
    assert [error["pointer"] for error in problem["errors"]] == [f"#/{field}"]


def test_a_field_called_half_a_surrogate_pair_is_refused(client, behind):
    body = r'{"prompt": "p", "model": "m", "\ud800": 1}'
    response = client.post(GENERATE, content=body, headers={"content-type": "application/json"})
    refused(response, 422, "invalid_field")


@pytest.mark.parametrize("text", PLAIN)
def test_odd_text_reaches_generation_as_it_is(client, behind, text):
    behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=a_task(prompt=text))
    response = client.post(GENERATE, json={"prompt": text, "model": "m", "negative_prompt": text})
    assert response.json()["prompt"] == text
    asked = behind.generation.last.message
    assert (asked.prompt, asked.negative_prompt) == (text, text)


@pytest.mark.parametrize("path", ["suggestions?q=%00", "suggestions?q=%ff%fe", "history?cursor=%00%ed%a0%80"])
def test_odd_bytes_in_a_query_reach_generation_as_text(client, behind, path):
    behind.generation.answers |= dict.fromkeys(
        ["SuggestPrompts", "ListTasks"], Refusal(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    )
    refused(client.get(f"/api/v1/generation/{path}"), 422, "invalid_field")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_does_not_call_itself_json_is_unsupported(client, behind, media_type):
    response = client.post(GENERATE, content=b'{"prompt": "p"}', headers={"content-type": media_type})
    refused(response, 415, "unsupported_media_type")


def test_a_body_above_one_mebibyte_is_too_large(client, behind):
    response = client.post(GENERATE, json={"prompt": "p" * (1 << 20), "model": "m"})
    refused(response, 413, "content_too_large")


def test_a_streamed_body_above_one_mebibyte_is_too_large(client, behind):
    chunks = (b" " * (1 << 16) for _ in range(17))
    response = client.post(GENERATE, content=chunks, headers={"content-type": "application/json"})
    refused(response, 413, "content_too_large")


def test_a_query_of_the_wrong_type_is_named(client, behind):
    problem = refused(client.get("/api/v1/generation/history?limit=many"), 422, "invalid_field")
    assert [error["parameter"] for error in problem["errors"]] == ["limit"]


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1/nothing", "/api/v1/models/", "/reference/../main.py", "/reference/x"]
)
def test_an_unknown_path_is_not_found(visitor, behind, path):
    refused(visitor.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("PUT", "/api/v1/results/01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21", "DELETE, GET"),
        ("GET", "/api/v1/results/archive", "POST"),
        ("DELETE", "/api/v1/results/delete", "POST"),
        ("POST", "/api/v1/auth/me", "DELETE, GET, PATCH"),
        ("HEAD", "/api/v1/models", "GET"),
        ("OPTIONS", GENERATE, "POST"),
        ("TRACE", "/healthz", "GET"),
        ("BREW", "/problems/not_found", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_know_is_405_and_says_which_it_knows(visitor, behind, verb, path, allowed):
    response = visitor.request(verb, path)
    assert response.status_code == 405
    assert set(allowed.split(", ")) <= set(response.headers["allow"].split(", "))
    assert verb not in response.headers["allow"]
    if verb != "HEAD":
        refused(response, 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("code", "reason", "challenge"),
    [
        (StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", ""),
        (StatusCode.UNAUTHENTICATED, "BAD_CREDENTIALS", ""),
        (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", "invalid_token"),
        (StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", "invalid_token"),
        (StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED", "invalid_token"),
        (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", "insufficient_scope"),
    ],
)
def test_a_challenge_names_what_is_wrong_with_the_token(client, behind, code, reason, challenge):
    behind.auth.answers["GetMe"] = Refusal(code, reason)
    sent = client.get(ME).headers["www-authenticate"]
    assert sent.startswith('Bearer realm="imagegen"')
    assert (f'error="{challenge}"' in sent) == bool(challenge)
    assert ("error" in sent) == bool(challenge)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/v1/generation/tasks/%ff%fe", {}),
        ("/api/v1/generation/tasks/%00", {}),
        ("/api/v1/results/%ed%a0%80/image", {}),
        ("/%ff", {}),
        ("/api/v1/generation/history?limit=1&limit=2&limit=x", {}),
        ("/api/v1/generation/history?status=%ff", {}),
        ("/api/v1/generation/history?created_from=%00", {}),
        ("/api/v1/generation/history?%ff=%ff&limit=%ff", {}),
        ("/api/v1/generation/nothing", {"x-request-id": "\xff", "traceparent": "\xff", "authorization": "\xff"}),
        ("/api/v1/generation/nothing", {"x-forwarded-for": "\xff,\xfe", "x-forwarded-proto": "\xff", "prefer": "\xff"}),
        ("/problems/\xff", {"accept": "\xff;q=\xff", "accept-language": "\xff"}),
    ],
)
def test_odd_bytes_are_the_clients_mistake(visitor, behind, path, headers):
    response = visitor.get(path, headers={name: value.encode("latin-1") for name, value in headers.items()})
    assert response.status_code in (404, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_an_error_that_nobody_foresaw_is_a_bare_500_and_is_logged_without_its_text(passing, behind):
    behind.results.answers["DownloadResult"] = []  # not even the first message that the contract promises
    with capture_logs() as lines, passing() as client:
        problem = refused(client.get(f"/api/v1/results/{uuid4()}/image"), 500, "internal")
    assert problem["detail"] == "An internal error; it has been logged."
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert line["kind"] == "StopAsyncIteration"
    assert any(place.endswith("get_image") for place in line["at"])
    assert line.keys() == {"event", "log_level", "kind", "at"}
