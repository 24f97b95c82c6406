"""`Prefer: wait=N`: answers that come when there is something to say."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from grpc import StatusCode
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import task_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import a_completed_task, a_result, a_task, refused
from tests.gateway.conftest import AUTHORIZATION
from tests.gateway.gateways import serving
from tests.gateway.neighbours import Refusal

GENERATE = "/api/v1/generation/generate"
RECIPE = {"prompt": "a lighthouse", "model": "sdxl"}
PATIENT = {"Prefer": "wait=20"}


class Row:
    """What GetTask finds: a task that a test moves on."""

    def __init__(self, behind) -> None:
        self.task = a_task()
        behind.generation.answers["GetTask"] = lambda *_: generation.GetTaskResponse(task=self.task)
        behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=self.task)
        behind.results.answers["ListResults"] = results.ListResultsResponse()

    @property
    def path(self) -> str:
        return f"/api/v1/generation/tasks/{self.task.id}"

    def complete(self, script) -> None:
        self.task = a_completed_task(id=self.task.id)
        script.say(cursor="end", status=self.task)
        script.end()


@pytest.fixture
def row(behind) -> Row:
    return Row(behind)


@pytest.fixture
def meanwhile():
    """Runs a request beside the test."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def test_a_task_that_ends_in_time_is_answered_with_its_pictures(client, behind, row, script, meanwhile):
    answer = meanwhile(lambda: client.post(GENERATE, json=RECIPE, headers=PATIENT))
    assert script.began.wait(10)
    script.say(cursor="c-1", snapshot=row.task)
    picture = a_result(task_id=row.task.id)
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=[picture])
    row.complete(script)
    response = answer.result(30)
    assert (response.status_code, response.json()["status"]) == (200, "completed")
    assert [found["id"] for found in response.json()["results"]] == [picture.id]
    assert response.headers["preference-applied"] == "wait=20"
    assert response.headers["location"] == row.path


def test_a_task_that_takes_longer_is_answered_as_it_is_then(client, row, script):
    script.say(cursor="c-1", snapshot=row.task)
    response = client.post(GENERATE, json=RECIPE, headers={"Prefer": "wait=1"})
    assert (response.status_code, response.json()["status"]) == (202, "pending")
    assert response.headers["preference-applied"] == "wait=1"
    assert script.ended.wait(10)


def test_an_accepted_task_stays_accepted_though_it_cannot_be_watched(client, behind, row):
    behind.generation.answers["WatchTask"] = Refusal(StatusCode.UNAVAILABLE)
    response = client.post(GENERATE, json=RECIPE, headers=PATIENT)
    assert (response.status_code, response.json()["id"]) == (202, row.task.id)


def test_a_refused_task_is_refused_at_once(client, behind):
    behind.generation.answers["CreateTask"] = Refusal(StatusCode.INVALID_ARGUMENT, "MODEL_UNKNOWN")
    response = client.post(GENERATE, json=RECIPE, headers=PATIENT)
    refused(response, 422, "model_unknown")
    assert "preference-applied" not in response.headers


def test_a_read_waits_until_the_task_has_ended(client, row, script, meanwhile):
    answer = meanwhile(lambda: client.get(row.path, headers=PATIENT))
    assert script.began.wait(10)
    script.say(cursor="c-1", snapshot=row.task)
    script.say(cursor="c-2", progress=task_pb2.Progress(step=1, steps=2))
    row.complete(script)
    assert answer.result(30).json()["status"] == "completed"


def test_a_read_of_what_has_ended_does_not_wait(client, behind, row):
    row.task = a_completed_task(id=row.task.id)
    response = client.get(row.path, headers=PATIENT)
    assert (response.status_code, response.headers["preference-applied"]) == (200, "wait=20")
    assert [call.method for call in behind.generation.asked] == ["GetTask"]


def test_a_read_with_an_etag_waits_until_the_task_differs(client, row, script, meanwhile):
    known = client.get(row.path).headers["etag"]
    answer = meanwhile(lambda: client.get(row.path, headers={**PATIENT, "If-None-Match": known}))
    assert script.began.wait(10)
    script.say(cursor="c-1", snapshot=row.task)
    row.task = a_task(id=row.task.id, state=task_pb2.TASK_STATE_PROCESSING)
    script.say(cursor="c-2", status=row.task)
    response = answer.result(30)
    assert (response.status_code, response.json()["status"]) == (200, "processing")
    assert response.headers["etag"] != known
    assert script.ended.wait(10)


def test_a_read_with_an_old_etag_does_not_wait(client, behind, row):
    response = client.get(row.path, headers={**PATIENT, "If-None-Match": '"old"'})
    assert response.status_code == 200
    assert [call.method for call in behind.generation.asked] == ["GetTask"]


def test_a_read_with_an_etag_is_told_that_nothing_has_changed(client, row, script):
    known = client.get(row.path).headers["etag"]
    script.say(cursor="c-1", snapshot=row.task)
    response = client.get(row.path, headers={"Prefer": "wait=1", "If-None-Match": known})
    assert (response.status_code, response.content) == (304, b"")
    assert (response.headers["etag"], response.headers["preference-applied"]) == (known, "wait=1")


def test_somebody_elses_task_is_not_waited_for(client, behind):
    behind.generation.answers["GetTask"] = Refusal(StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    refused(client.get(f"/api/v1/generation/tasks/{a_task().id}", headers=PATIENT), 404, "task_not_found")


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=20", "wait=20"),
        ("respond-async, wait=20", "wait=20"),
        ('WAIT = "7"; foo=bar', "wait=7"),
        ("wait=3, wait=9", "wait=3"),
        ("wait=61", "wait=60"),
        ("wait=999999999", "wait=60"),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=soon", None),
        ("wait", None),
        ("wait=" + "9" * 5000, None),
        ("wait=٣", None),
        ("", None),
    ],
)
def test_a_preference_is_heeded_as_far_as_it_makes_sense(client, row, prefer, applied):
    row.task = a_completed_task(id=row.task.id)
    response = client.get(row.path, headers={"Prefer": prefer.encode()})
    assert response.headers.get("preference-applied") == applied


def test_a_client_that_leaves_ends_the_watch(origin, row, script):
    body = json.dumps(RECIPE)
    head = f"POST {GENERATE} HTTP/1.1\r\nHost: x\r\nPrefer: wait=60\r\nContent-Type: application/json\r\n"
    with socket.create_connection(origin.removeprefix("http://").split(":")) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert script.began.wait(10)
    assert script.ended.wait(10)


def test_a_gateway_that_stops_answers_at_once(served, row, script, meanwhile):
    with serving(served[1]) as gateway, httpx.Client(base_url=gateway.origin, headers=AUTHORIZATION) as client:
        answer = meanwhile(lambda: client.get(row.path, headers={"Prefer": "wait=60"}, timeout=30))
        assert script.began.wait(10)
        gateway.should_exit = True
        assert answer.result(30).json()["status"] == "pending"
    assert script.ended.wait(10)
