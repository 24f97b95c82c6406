"""Server-Sent Events of all of a person's tasks."""

import httpx_sse
import pytest
from grpc import StatusCode
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import task_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import a_completed_task, a_result, a_task, refused
from tests.gateway.neighbours import Refusal, Script

PATH = "/api/v1/generation/events"

Event = generation.WatchTasksResponse


def test_all_tasks_are_told_each_event_with_its_task(client, behind):
    task, other = a_task(), a_task()
    done = a_completed_task(id=task.id)
    picture = a_result(task_id=task.id)
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=[picture])
    behind.generation.answers["WatchTasks"] = [
        Event(task_id=task.id, snapshot=task),
        Event(cursor="c.1-0", caught_up=generation.CaughtUp()),
        Event(task_id=other.id, status=other),
        Event(task_id=task.id, cursor="c.2-0", progress=task_pb2.Progress(step=1, steps=4)),
        Event(task_id=task.id, preview=generation.Preview(media_type="image/jpeg", image=b"\xff\xd8")),
        Event(task_id=task.id, cursor="c.3-0", status=done),
    ]
    with httpx_sse.connect_sse(client, "GET", PATH) as source:
        seen = list(source.iter_sse())
        headers = source.response.headers
    assert [event.event for event in seen] == ["snapshot", "caught_up", "status", "progress", "preview", "status"]
    assert [event.id for event in seen] == ["", "c.1-0", "c.1-0", "c.2-0", "c.2-0", "c.3-0"]
    assert [event.retry for event in seen[:2]] == [1000, 1000]
    assert [event.json().get("task_id") for event in seen] == [task.id, None, other.id, task.id, task.id, task.id]
    assert [seen[0].json()["id"], seen[0].json()["links"]["self"]] == [task.id, f"/api/v1/generation/tasks/{task.id}"]
    assert seen[1].json() == {}
    assert seen[3].json() == {"task_id": task.id, "step": 1, "steps": 4, "percent": 25}
    assert [found["id"] for found in seen[5].json()["results"]] == [picture.id]
    assert headers["content-type"].startswith("text/event-stream")
    assert behind.generation.asked[0].message == generation.WatchTasksRequest()
    assert behind.generation.asked[0].metadata["authorization"] == client.headers["authorization"]


@pytest.mark.parametrize("sent", [{"headers": {"Last-Event-ID": "c.7-0"}}, {"params": {"last_event_id": "c.7-0"}}])
def test_the_stream_of_all_resumes_after_the_last_id(client, behind, sent):
    behind.generation.answers["WatchTasks"] = [
        Event(reset=generation.Reset()),
        Event(cursor="d.1-0", caught_up=generation.CaughtUp()),
    ]
    with httpx_sse.connect_sse(client, "GET", PATH, **sent) as source:
        assert [(event.event, event.id) for event in source.iter_sse()] == [("reset", ""), ("caught_up", "d.1-0")]
    assert behind.generation.last.message.cursor == "c.7-0"


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", 429),
        (StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", 401),
        (StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", 503),
    ],
)
def test_a_stream_of_all_that_cannot_begin_is_a_problem(client, behind, code, reason, status):
    behind.generation.answers["WatchTasks"] = Refusal(code, reason)
    refused(client.get(PATH), status, reason.lower())


def test_a_client_that_leaves_the_stream_of_all_ends_the_watch(client, behind):
    behind.generation.answers["WatchTasks"] = script = Script(Event)
    script.say(cursor="c.1-0", caught_up=generation.CaughtUp())
    with client.stream("GET", PATH) as response:
        assert next(response.iter_lines()) == "event: caught_up"
    assert script.ended.wait(10)
