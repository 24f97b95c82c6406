"""Server-Sent Events: order, ids, resuming, heartbeats, ends."""

import base64
import json
from uuid import uuid4

import httpx
import httpx_sse
import pytest
from grpc import StatusCode
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import task_pb2
from imagegen.results.v1 import results_service_pb2 as results

from gateway import events
from tests.gateway.builders import NOON, NOON_TEXT, a_completed_task, a_result, a_task, refused
from tests.gateway.gateways import serving
from tests.gateway.neighbours import Refusal

Event = generation.WatchTaskResponse


def path_of(task: task_pb2.Task) -> str:
    return f"/api/v1/generation/tasks/{task.id}/events"


def test_a_task_is_followed_from_its_snapshot_to_its_pictures(client, behind):
    task = a_task(position=1, eta=task_pb2.Eta(p50_time=NOON, p90_time=NOON))
    done = a_completed_task(id=task.id)
    picture = a_result(task_id=task.id)
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=[picture])
    behind.generation.answers["WatchTask"] = [
        Event(cursor="c-1", snapshot=task),
        Event(cursor="c-2", status=a_task(id=task.id, state=task_pb2.TASK_STATE_PROCESSING)),
        Event(cursor="c-3", progress=task_pb2.Progress(step=1, steps=4)),
        Event(preview=generation.Preview(media_type="image/jpeg", image=b"\xff\xd8")),
        Event(cursor="c-4", status=done),
    ]
    with httpx_sse.connect_sse(client, "GET", path_of(task)) as source:
        seen = list(source.iter_sse())
        headers = source.response.headers
    assert [event.event for event in seen] == ["snapshot", "status", "progress", "preview", "status"]
    # The client's last id stays where it was on an event that has none.
    assert [event.id for event in seen] == ["c-1", "c-2", "c-3", "c-3", "c-4"]
    assert [seen[0].json()["status"], seen[0].json()["position"]] == ["pending", 1]
    assert seen[0].json()["eta"] == {"p50": NOON_TEXT, "p90": NOON_TEXT}
    assert seen[0].json()["links"]["self"] == f"/api/v1/generation/tasks/{task.id}"
    assert seen[2].json() == {"step": 1, "steps": 4, "percent": 25}
    assert seen[3].json() == {"media_type": "image/jpeg", "image": base64.b64encode(b"\xff\xd8").decode()}
    assert [found["id"] for found in seen[4].json()["results"]] == [picture.id]
    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")
    watched = behind.generation.last
    assert watched.message == generation.WatchTaskRequest(task_id=task.id)
    assert watched.metadata["authorization"] == client.headers["authorization"]


def test_a_stream_tells_an_event_source_to_come_back_after_a_second(client, behind):
    behind.generation.answers["WatchTask"] = [Event(cursor="c-1", snapshot=a_task())]
    with httpx_sse.connect_sse(client, "GET", path_of(a_task())) as source:
        assert [event.retry for event in source.iter_sse()] == [1000]


def test_an_event_that_cannot_be_resumed_from_has_no_id(client, behind):
    behind.generation.answers["WatchTask"] = [Event(preview=generation.Preview(media_type="image/png", image=b"x"))]
    assert "\nid:" not in client.get(path_of(a_task())).text


@pytest.mark.parametrize(
    "sent",
    [
        {"headers": {"Last-Event-ID": "c-7"}},
        {"params": {"last_event_id": "c-7"}},
        {"headers": {"Last-Event-ID": "c-7"}, "params": {"last_event_id": "c-1"}},
    ],
)
def test_a_stream_resumes_after_the_last_id(client, behind, sent):
    behind.generation.answers["WatchTask"] = [Event(cursor="c-8", progress=task_pb2.Progress(step=2, steps=4))]
    with httpx_sse.connect_sse(client, "GET", path_of(a_task()), **sent) as source:
        assert [event.id for event in source.iter_sse()] == ["c-8"]
    assert behind.generation.last.message.cursor == "c-7"


def test_an_id_that_cannot_be_resumed_from_gets_reset_and_a_snapshot(client, behind):
    task = a_task()
    behind.generation.answers["WatchTask"] = [Event(reset=generation.Reset()), Event(cursor="d-1", snapshot=task)]
    headers = {"Last-Event-ID": "c-7"}
    with httpx_sse.connect_sse(client, "GET", path_of(task), headers=headers) as source:
        assert [(event.event, event.id) for event in source.iter_sse()] == [("reset", ""), ("snapshot", "d-1")]


def test_a_task_whose_every_event_was_received_tells_an_event_source_to_stop(client, behind):
    behind.generation.answers["WatchTask"] = []
    assert client.get(path_of(a_task()), headers={"Last-Event-ID": "c-9"}).status_code == 204


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (StatusCode.NOT_FOUND, "TASK_NOT_FOUND", 404),
        (StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", 401),
        (StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", 503),
    ],
)
def test_a_stream_that_cannot_begin_is_a_problem(client, behind, code, reason, status):
    behind.generation.answers["WatchTask"] = Refusal(code, reason)
    refused(client.get(f"/api/v1/generation/tasks/{uuid4()}/events"), status, reason.lower())


def test_events_come_as_they_happen(client, script):
    task = a_task()
    script.say(cursor="c-1", snapshot=task)
    with httpx_sse.connect_sse(client, "GET", path_of(task)) as source:
        seen = source.iter_sse()
        assert next(seen).id == "c-1"
        script.say(cursor="c-2", progress=task_pb2.Progress(step=1, steps=2))
        assert next(seen).id == "c-2"


def test_a_resumed_stream_opens_although_nothing_happens(client, script, monkeypatch):
    monkeypatch.setattr(events, "OPENING_SECONDS", 0.01)
    with client.stream("GET", path_of(a_task()), headers={"Last-Event-ID": "c-1"}) as response:
        assert response.status_code == 200


def test_a_silent_stream_is_kept_alive_by_comments_without_an_id(client, script, monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.02)
    script.say(cursor="c-1", snapshot=a_task())
    with client.stream("GET", path_of(a_task())) as response:
        lines = response.iter_lines()
        after_the_snapshot = [next(lines) for _ in range(9)][5:]
    assert after_the_snapshot == [": keep-alive", "", ": keep-alive", ""]


def test_a_client_that_leaves_ends_the_watch(client, script):
    task = a_task()
    script.say(cursor="c-1", snapshot=task)
    with client.stream("GET", path_of(task)) as response:
        assert next(response.iter_lines()) == "event: snapshot"
    assert script.ended.wait(10)


def test_a_stream_that_generation_breaks_off_ends_cleanly_after_what_was_sent(client, behind):
    def breaks_off(message, context):
        yield Event(cursor="c-1", snapshot=a_task())
        raise Refusal(StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")

    behind.generation.answers["WatchTask"] = breaks_off
    with httpx_sse.connect_sse(client, "GET", path_of(a_task())) as source:
        assert [event.id for event in source.iter_sse()] == ["c-1"]


def test_a_completed_task_is_told_while_results_is_away(client, behind):
    behind.generation.answers["WatchTask"] = [Event(cursor="c-1", status=a_completed_task())]
    behind.results.answers["ListResults"] = Refusal(StatusCode.UNAVAILABLE)
    with httpx_sse.connect_sse(client, "GET", path_of(a_task())) as source:
        (event,) = source.iter_sse()
    assert json.loads(event.data)["results_unavailable"] is True


def test_a_gateway_that_stops_ends_its_streams_at_once(served, script):
    script.say(cursor="c-1", snapshot=a_task())
    with (
        serving(served[1]) as gateway,
        httpx.Client(base_url=gateway.origin) as client,
        httpx_sse.connect_sse(client, "GET", path_of(a_task())) as source,
    ):
        seen = source.iter_sse()
        assert next(seen).id == "c-1"
        gateway.should_exit = True
        assert list(seen) == []
    assert script.ended.wait(10)
