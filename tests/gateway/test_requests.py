"""What every request gets, and the probes."""

import re
from uuid import UUID, uuid4

import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.results.v1 import results_service_pb2 as results
from prometheus_client import REGISTRY
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.gateway.builders import a_picture, a_task, a_user, refused
from tests.gateway.neighbours import Refusal

ME = "/api/v1/auth/me"
SUGGESTIONS = "/api/v1/generation/suggestions"


def test_a_request_id_is_kept_and_passed_on(client, behind):
    behind.auth.answers["GetMe"] = auth.GetMeResponse(user=a_user())
    response = client.get(ME, headers={"X-Request-Id": "from-envoy:1"})
    assert response.headers["x-request-id"] == "from-envoy:1"
    assert behind.auth.last.metadata["x-request-id"] == "from-envoy:1"


@pytest.mark.parametrize("sent", [{}, {"X-Request-Id": "no good"}, {"X-Request-Id": "x" * 129}])
def test_a_missing_or_odd_request_id_is_replaced_by_a_new_one(client, behind, sent):
    behind.auth.answers["GetMe"] = auth.GetMeResponse(user=a_user())
    response = client.get(ME, headers=sent)
    made = response.headers["x-request-id"]
    assert UUID(made).version == 7
    assert behind.auth.last.metadata["x-request-id"] == made


TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_trace_is_continued_in_calls_answers_and_log_lines(passing, behind):
    behind.auth.answers["GetMe"] = auth.GetMeResponse(user=a_user())
    with capture_logs(processors=[merge_contextvars]) as lines, passing() as client:
        response = client.get(ME, headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    passed_on = behind.auth.last.metadata["traceparent"]
    assert re.fullmatch(f"00-{TRACE}-(?!b7ad6b7169203331)[0-9a-f]{{16}}-01", passed_on)
    assert response.headers["traceparent"] == passed_on
    # Another gateway in this process may still be writing the line of an earlier request.
    (line,) = [line for line in lines if line.get("request_id") == response.headers["x-request-id"]]
    assert (line["trace_id"], line["route"]) == (TRACE, ME)


@pytest.mark.parametrize("sent", [None, "", "no trace", f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{TRACE}-1-01"])
def test_a_missing_or_odd_trace_is_replaced_by_a_new_one(client, behind, sent):
    behind.auth.answers["GetMe"] = auth.GetMeResponse(user=a_user())
    client.get(ME, headers={} if sent is None else {"traceparent": sent})
    passed_on = behind.auth.last.metadata["traceparent"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", passed_on)
    assert TRACE not in passed_on


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({}, "127.0.0.1"),
        ({"x-forwarded-for": "198.51.100.1, 203.0.113.9"}, "203.0.113.9"),
        ({"x-forwarded-for": "2001:db8::1"}, "2001:db8::1"),
        ({"x-forwarded-for": "203.0.113.9, nobody"}, "127.0.0.1"),
        ({"x-forwarded-for": "fe80::1%\xff".encode("latin-1")}, "fe80::1"),
    ],
)
def test_the_services_are_told_the_clients_address(client, behind, sent, told):
    behind.auth.answers |= {
        "GetMe": auth.GetMeResponse(user=a_user()),
        "Login": Refusal(StatusCode.UNAUTHENTICATED, "BAD_CREDENTIALS"),
    }
    client.get(ME, headers=sent)
    client.post("/api/v1/auth/login", json={"username": "lin", "password": "x"}, headers=sent)
    assert [call.metadata["x-forwarded-for"] for call in behind.auth.asked] == [told, told]


def test_who_came_by_https_is_told_to_stay_with_it(visitor):
    assert "strict-transport-security" not in visitor.get("/healthz").headers
    secure = visitor.get("/healthz", headers={"x-forwarded-proto": "https"})
    assert secure.headers["strict-transport-security"] == "max-age=31536000"


def test_a_picture_may_be_shown_on_any_page_and_nothing_else_may(visitor, behind):
    part = results.DownloadResultResponse
    behind.results.answers["DownloadResult"] = [part(picture=a_picture()), part(chunk=b"abcdef")]
    shown = visitor.get(f"/api/v1/results/{uuid4()}/image?expires=1&signature=x")
    assert shown.headers["cross-origin-resource-policy"] == "cross-origin"
    assert visitor.get("/healthz").headers["cross-origin-resource-policy"] == "same-origin"


def test_without_a_token_none_is_passed_on_and_the_service_decides(visitor, behind):
    behind.auth.answers["GetMe"] = Refusal(StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    refused(visitor.get(ME), 401, "token_missing")
    assert "authorization" not in behind.auth.last.metadata


@pytest.mark.parametrize("value", [b"Basic dTpw", "Bearer töken".encode(), b"Bearer a\tb"])
def test_an_odd_authorization_header_reaches_the_service_which_refuses_it(visitor, behind, value):
    behind.auth.answers["GetMe"] = Refusal(StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    refused(visitor.get(ME, headers={"authorization": value}), 401, "token_invalid")
    assert behind.auth.last.metadata["authorization"].isascii()


@pytest.mark.parametrize("path", ["/docs", "/healthz", "/nothing", "/api/v1/auth/me"])
def test_every_response_is_guarded(visitor, behind, path):
    behind.auth.answers["GetMe"] = Refusal(StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    headers = visitor.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "http" not in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "microphone=()" in headers["permissions-policy"]
    assert "server" not in headers


def test_the_access_log_has_the_route_and_no_query(passing, behind):
    behind.generation.answers["SuggestPrompts"] = generation.SuggestPromptsResponse()
    with capture_logs(processors=[merge_contextvars]) as lines, passing() as client:
        response = client.get(f"{SUGGESTIONS}?q=private+words")
    (line,) = [line for line in lines if line.get("request_id") == response.headers["x-request-id"]]
    assert line["route"] == SUGGESTIONS
    assert (line["event"], line["method"], line["status"]) == ("request", "GET", 200)
    assert "private" not in str(lines)


def test_the_access_log_names_the_task_that_was_made_or_asked_for(passing, behind):
    task = a_task()
    behind.generation.answers |= {
        "CreateTask": generation.CreateTaskResponse(task=task),
        "GetTask": generation.GetTaskResponse(task=task),
    }
    asked = {"X-Request-Id": f"asked-{uuid4()}"}
    with capture_logs(processors=[merge_contextvars]) as lines, passing() as client:
        client.post("/api/v1/generation/generate", json={"prompt": "x", "model": "sdxl"}, headers=asked)
        client.get(f"/api/v1/generation/tasks/{task.id}", headers=asked)
        client.get("/api/v1/generation/tasks/private-words", headers=asked)
    told = [line.get("task_id") for line in lines if line.get("request_id") == asked["X-Request-Id"]]
    assert told == [task.id, task.id, None]


def test_requests_are_counted_by_the_routes_template(passing):
    labels = {"method": "GET", "route": "/api/v1/results/{result_id}", "status": "404"}
    before = REGISTRY.get_sample_value("imagegen_http_requests_total", labels) or 0
    with passing() as client:
        client.get("/api/v1/results/1")
        client.get("/api/v1/results/2")
    assert REGISTRY.get_sample_value("imagegen_http_requests_total", labels) == before + 2


def test_paths_and_methods_that_clients_invent_make_no_new_metrics(passing):
    with passing() as client:
        client.request("BREW", "/coffee/1")
    labels = {"method": "other", "route": "unknown", "status": "404"}
    assert REGISTRY.get_sample_value("imagegen_http_requests_total", labels) >= 1


def test_the_process_is_alive_whatever_its_neighbours_do(passing, behind):
    behind.auth.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    with capture_logs() as lines, passing() as client:
        assert client.get("/healthz").json() == {"status": "alive"}
    assert "/healthz" not in str(lines)


def test_it_is_ready_when_every_neighbour_is(visitor, behind):
    response = visitor.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


def test_it_is_not_ready_while_a_neighbour_is_away_and_names_it(visitor, behind):
    behind.results.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    problem = refused(visitor.get("/readyz"), 503, "not_ready")
    assert problem["detail"] == "These services do not answer: results."


HISTORY = "/api/v1/generation/history"


@pytest.mark.parametrize("name", ["limit", "cursor", "q", "created_from"])
def test_a_parameter_that_is_sent_twice_is_refused_and_named(client, behind, name):
    response = client.get(f"{HISTORY}?{name}=1&{name}=2&status=failed&status=canceled&other=1&other=2")

    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert [error["parameter"] for error in response.json()["errors"]] == [name]
    assert behind.generation.asked == []


def test_a_parameter_that_may_be_sent_several_times_is_not_refused_for_it(client, behind):
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse()

    assert client.get(f"{HISTORY}?status=failed&status=canceled&other=1&other=2").status_code == 200
