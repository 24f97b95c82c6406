from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import task_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import NOON, NOON_TEXT, a_completed_task, a_result, a_task, refused
from tests.gateway.neighbours import Refusal

RECIPE = {"prompt": "a lighthouse", "model": "sdxl"}
TASKS = "/api/v1/generation/tasks"


def test_generating_answers_202_with_the_task_and_its_place(client, behind):
    task = a_task(waiting_reason=task_pb2.WAITING_REASON_QUEUED, position=3)
    behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=task)
    response = client.post("/api/v1/generation/generate", json=RECIPE)
    assert response.status_code == 202
    assert response.headers["location"] == f"{TASKS}/{task.id}"
    assert "idempotent-replayed" not in response.headers
    assert response.json() == {
        "id": task.id,
        "status": "pending",
        "waiting_reason": "queued",
        "prompt": "a lighthouse",
        "negative_prompt": "",
        "model": "sdxl",
        "width": 1024,
        "height": 768,
        "steps": 20,
        "cfg": 7.5,
        "seed": 2**53 - 1,
        "count": 1,
        "progress": None,
        "position": 3,
        "eta": None,
        "cancel_requested": False,
        "created_at": NOON_TEXT,
        "started_at": None,
        "finished_at": None,
        "timeline": [],
        "links": {
            "self": f"{TASKS}/{task.id}",
            "events": f"{TASKS}/{task.id}/events",
            "cancel": f"{TASKS}/{task.id}/cancel",
        },
        "results": [],
        "results_unavailable": False,
        "error": None,
    }
    assert behind.generation.last.message == generation.CreateTaskRequest(**RECIPE)
    assert behind.generation.last.metadata["authorization"] == client.headers["authorization"]
    assert 3 < behind.generation.last.seconds_left < 6


def test_every_parameter_reaches_generation(client, behind):
    behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=a_task())
    recipe = {
        **RECIPE,
        "negative_prompt": "",
        "width": 512,
        "height": 640,
        "steps": 30,
        "cfg": 4,
        "seed": 0,
        "count": 4,
    }
    client.post("/api/v1/generation/generate", json=recipe, headers={"Idempotency-Key": "k-1"})
    assert behind.generation.last.message == generation.CreateTaskRequest(request_id="k-1", **recipe)


def test_a_whole_number_may_be_written_with_a_fraction_of_nothing(client, behind):
    behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=a_task())
    client.post("/api/v1/generation/generate", json={**RECIPE, "width": 64.0, "seed": 2.0**40})
    assert behind.generation.last.message == generation.CreateTaskRequest(width=64, seed=2**40, **RECIPE)


def test_a_null_parameter_counts_as_left_out(client, behind):
    behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=a_task())
    client.post("/api/v1/generation/generate", json={**RECIPE, "seed": None})
    assert behind.generation.last.message == generation.CreateTaskRequest(**RECIPE)


def test_a_replay_says_so(client, behind):
    behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=a_task(), replayed=True)
    response = client.post("/api/v1/generation/generate", json=RECIPE, headers={"Idempotency-Key": "k-1"})
    assert (response.status_code, response.headers["idempotent-replayed"]) == (202, "true")


def test_a_dry_run_says_what_would_come_of_it(client, behind):
    tried = a_task(id="", negative_prompt="blurry")
    estimate = generation.Estimate(gpu_seconds=12.5, eta=task_pb2.Eta(p50_time=NOON, p90_time=NOON))
    behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=tried, estimate=estimate)
    response = client.post("/api/v1/generation/generate?dry_run=true", json=RECIPE)
    assert (response.status_code, response.json()) == (
        200,
        {
            "accepted": True,
            "task": {
                "prompt": "a lighthouse",
                "negative_prompt": "blurry",
                "model": "sdxl",
                "width": 1024,
                "height": 768,
                "steps": 20,
                "cfg": 7.5,
                "seed": None,
                "count": 1,
            },
            "cost": {"gpu_seconds": 12.5},
            "eta": {"p50": NOON_TEXT, "p90": NOON_TEXT},
        },
    )
    assert "location" not in response.headers
    assert behind.generation.last.message == generation.CreateTaskRequest(validate_only=True, **RECIPE)


def test_a_dry_run_keeps_the_seed_that_was_sent_and_knows_no_end_while_nobody_can_paint(client, behind):
    response = generation.CreateTaskResponse(task=a_task(), estimate=generation.Estimate(gpu_seconds=1))
    behind.generation.answers["CreateTask"] = response
    shown = client.post("/api/v1/generation/generate?dry_run=1", json={**RECIPE, "seed": 7}).json()
    assert (shown["task"]["seed"], shown["eta"]) == (7, None)


def test_a_dry_run_neither_uses_nor_spends_an_idempotency_key_and_waits_for_nothing(client, behind):
    response = generation.CreateTaskResponse(task=a_task(), estimate=generation.Estimate(gpu_seconds=1))
    behind.generation.answers["CreateTask"] = response
    headers = {"Idempotency-Key": "k-1", "Prefer": "wait=20"}
    answer = client.post("/api/v1/generation/generate?dry_run=true", json=RECIPE, headers=headers)
    assert "preference-applied" not in answer.headers
    assert [call.message.request_id for call in behind.generation.asked] == [""]


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (StatusCode.INVALID_ARGUMENT, "MODEL_UNKNOWN", 422),
        (StatusCode.FAILED_PRECONDITION, "MODEL_UNAVAILABLE", 409),
        (StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED", 422),
        (StatusCode.RESOURCE_EXHAUSTED, "USER_QUEUE_FULL", 429),
        (StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", 401),
        (StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED", 401),
        (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", 403),
    ],
)
def test_a_refused_task_says_why(client, behind, *, query, code, reason, status):
    behind.generation.answers["CreateTask"] = Refusal(code, reason, message="the reason in words")
    problem = refused(client.post(f"/api/v1/generation/generate{query}", json=RECIPE), status, reason.lower())
    assert problem["detail"] == "the reason in words"


def test_an_idempotency_key_that_is_too_long_is_named(client, behind):
    response = client.post("/api/v1/generation/generate", json=RECIPE, headers={"Idempotency-Key": "k" * 129})
    assert [error["header"] for error in refused(response, 422, "invalid_field")["errors"]] == ["Idempotency-Key"]


def test_a_parameter_out_of_range_is_pointed_at(client, behind):
    behind.generation.answers["CreateTask"] = Refusal(
        StatusCode.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE", fields=[("width", "must be at most 2048")]
    )
    response = client.post("/api/v1/generation/generate", json={**RECIPE, "width": 9000})
    problem = refused(response, 422, "parameter_out_of_range")
    assert problem["errors"] == [{"pointer": "#/width", "detail": "must be at most 2048"}]


def test_an_unfinished_task_shows_when_it_will_probably_have_ended(client, behind):
    task = a_task(eta=task_pb2.Eta(p50_time=NOON, p90_time=Timestamp(seconds=NOON.seconds + 60)))
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=task)
    shown = client.get(f"{TASKS}/{task.id}").json()
    assert shown["eta"] == {"p50": NOON_TEXT, "p90": "2026-06-01T12:01:00Z"}


@pytest.mark.parametrize("number", [number for number in task_pb2.WaitingReason.values() if number])
def test_a_waiting_task_says_why(client, behind, number):
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=a_task(waiting_reason=number))
    shown = client.get(f"{TASKS}/{uuid4()}").json()
    assert f"WAITING_REASON_{shown['waiting_reason'].upper()}" == task_pb2.WaitingReason.Name(number)


def test_a_processing_task_may_wait_for_its_model(client, behind):
    loading = a_task(state=task_pb2.TASK_STATE_PROCESSING, waiting_reason=task_pb2.WAITING_REASON_MODEL_LOADING)
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=loading)
    shown = client.get(f"{TASKS}/{loading.id}").json()
    assert (shown["status"], shown["waiting_reason"]) == ("processing", "model_loading")


def test_a_processing_task_shows_its_progress(client, behind):
    task = a_task(state=task_pb2.TASK_STATE_PROCESSING, progress=task_pb2.Progress(step=7, steps=20), start_time=NOON)
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=task)
    shown = client.get(f"{TASKS}/{task.id}").json()
    assert shown["status"] == "processing"
    assert shown["progress"] == {"step": 7, "steps": 20, "percent": 35}
    assert (shown["position"], shown["waiting_reason"], shown["started_at"]) == (None, None, NOON_TEXT)
    assert behind.results.asked == []


def test_a_failed_task_shows_the_reason(client, behind):
    failure = task_pb2.Failure(reason=task_pb2.FAILURE_REASON_OUT_OF_MEMORY, message="The GPU is too small.")
    task = a_task(state=task_pb2.TASK_STATE_FAILED, failure=failure, finish_time=NOON)
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=task)
    shown = client.get(f"{TASKS}/{task.id}").json()
    assert shown["error"] == {"code": "out_of_memory", "message": "The GPU is too small."}


def test_a_completed_task_carries_its_results(client, behind):
    task = a_completed_task()
    pictures = [a_result(task_id=task.id, index=index) for index in (0, 1)]
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=task)
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=pictures)
    shown = client.get(f"{TASKS}/{task.id}").json()
    assert [picture["id"] for picture in shown["results"]] == [picture.id for picture in pictures]
    assert shown["finished_at"] == NOON_TEXT
    assert behind.results.last.message == results.ListResultsRequest(task_ids=[task.id])


def test_an_ended_task_shows_what_it_was_at(client, behind):
    later = Timestamp(seconds=NOON.seconds + 2, nanos=750_000_000)
    phases = [
        task_pb2.Phase(
            kind=task_pb2.PHASE_KIND_QUEUED, start_time=NOON, duration=Duration(seconds=2, nanos=500_000_000)
        ),
        task_pb2.Phase(kind=task_pb2.PHASE_KIND_MODEL_LOAD, start_time=later, duration=Duration(seconds=7)),
    ]
    task = a_completed_task(timeline=phases)
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=task)
    behind.results.answers["ListResults"] = results.ListResultsResponse()
    assert client.get(f"{TASKS}/{task.id}").json()["timeline"] == [
        {"phase": "queued", "started_at": NOON_TEXT, "seconds": 2.5},
        {"phase": "model_load", "started_at": "2026-06-01T12:00:02.750000Z", "seconds": 7.0},
    ]


def test_a_completed_task_is_answered_while_results_is_away(client, behind):
    task = a_completed_task()
    behind.generation.answers["GetTask"] = generation.GetTaskResponse(task=task)
    behind.results.answers["ListResults"] = Refusal(StatusCode.UNAVAILABLE)
    shown = client.get(f"{TASKS}/{task.id}").json()
    assert (shown["status"], shown["results"], shown["results_unavailable"]) == ("completed", [], True)


@pytest.mark.parametrize("method", ["GetTask", "CancelTask"])
def test_somebody_elses_task_is_not_found(client, behind, method):
    behind.generation.answers[method] = Refusal(StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    path = f"{TASKS}/{uuid4()}"
    response = client.get(path) if method == "GetTask" else client.post(f"{path}/cancel")
    refused(response, 404, "task_not_found")


@pytest.mark.parametrize(("verb", "path"), [("GET", ""), ("POST", "/cancel"), ("GET", "/events")])
def test_an_id_that_cannot_be_one_is_not_found(client, behind, verb, path):
    refused(client.request(verb, f"{TASKS}/1{path}"), 404, "task_not_found")
    assert behind.generation.asked == []


def test_canceling_answers_the_task(client, behind):
    task = a_task(state=task_pb2.TASK_STATE_PROCESSING, cancel_requested=True)
    behind.generation.answers["CancelTask"] = generation.CancelTaskResponse(task=task)
    response = client.post(f"{TASKS}/{task.id}/cancel")
    assert (response.status_code, response.json()["cancel_requested"]) == (200, True)
    assert behind.generation.last.message.task_id == task.id


def test_a_finished_task_cannot_be_canceled(client, behind):
    behind.generation.answers["CancelTask"] = Refusal(StatusCode.FAILED_PRECONDITION, "TASK_FINISHED")
    refused(client.post(f"{TASKS}/{uuid4()}/cancel"), 409, "task_finished")


def test_the_history_is_composed_by_one_call_of_results(client, behind):
    tasks = [a_completed_task(), a_task(), a_completed_task()]
    picture = a_result(task_id=tasks[2].id)
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse(tasks=tasks, next_page_token="next")
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=[picture])
    page = client.get("/api/v1/generation/history", params={"limit": 3, "cursor": "here"}).json()
    assert [task["id"] for task in page["tasks"]] == [task.id for task in tasks]
    assert [[found["id"] for found in task["results"]] for task in page["tasks"]] == [[], [], [picture.id]]
    assert page["next_cursor"] == "next"
    assert behind.generation.last.message == generation.ListTasksRequest(page_size=3, page_token="here")
    assert [call.message.task_ids for call in behind.results.asked] == [[tasks[0].id, tasks[2].id]]


def test_the_last_page_of_the_history_has_no_cursor(client, behind):
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse(tasks=[a_task()])
    assert client.get("/api/v1/generation/history").json()["next_cursor"] is None
    assert behind.results.asked == []


def test_a_page_of_the_history_links_to_the_next_and_keeps_the_filters(client, behind):
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse(next_page_token="n+/=")
    sent = {"status": ["failed", "canceled"], "q": "a & b", "created_from": "2026-06-01T14:00:00+02:00", "limit": 3}
    response = client.get("/api/v1/generation/history", params={**sent, "cursor": "here"})
    link = response.links["next"]["url"]
    assert link.startswith("/api/v1/generation/history?")
    assert response.headers["link"].endswith('; rel="next"')
    client.get(link)
    first, second = (call.message for call in behind.generation.asked)
    first.page_token = "n+/="
    assert second == first


def test_the_last_page_of_the_history_links_nowhere(client, behind):
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse()
    assert "link" not in client.get("/api/v1/generation/history").headers


def test_every_filter_of_the_history_reaches_generation(client, behind):
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse()
    sent = {
        "status": ["completed", "failed"],
        "model": "sdxl",
        "created_from": "2026-06-01T14:00:00.25+02:00",
        "created_before": "2026-06-01t13:00:00z",
        "q": "灯塔",
    }
    assert client.get("/api/v1/generation/history", params=sent).status_code == 200
    assert behind.generation.last.message == generation.ListTasksRequest(
        page_size=20,
        states=[task_pb2.TASK_STATE_COMPLETED, task_pb2.TASK_STATE_FAILED],
        model="sdxl",
        created_from=NOON,
        created_before=Timestamp(seconds=NOON.seconds + 3600),
        text="灯塔",
    )


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("status", "done"),
        ("status", ""),
        ("model", "m" * 65),
        ("model", "a\0b"),
        ("q", "q" * 201),
        ("q", "\0"),
        ("cursor", "c" * 257),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "1e1"),
        ("created_from", "yesterday"),
        ("created_from", "2026-06-01"),
        ("created_from", "2026-06-01T12:00:00"),
        ("created_from", "2026-06-01T12:00:00 02:00"),
        ("created_from", "1780315200"),
        ("created_before", "2026-02-30T12:00:00Z"),
        ("created_before", "0001-01-01T00:00:00+14:00"),
        ("created_before", "9999-12-31T23:59:59-14:00"),
        ("created_before", "0000-01-01T00:00:00Z"),
        ("created_before", "٢٠٢٦-06-01T12:00:00Z"),
    ],
)
def test_a_filter_that_cannot_be_one_is_named(client, behind, parameter, value):
    response = client.get("/api/v1/generation/history", params={parameter: value})
    assert {error["parameter"] for error in refused(response, 422, "invalid_field")["errors"]} == {parameter}
    assert behind.generation.asked == []


def test_the_first_and_the_last_moment_are_moments(client, behind):
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse()
    sent = {"created_from": "0001-01-01T00:00:00Z", "created_before": "9999-12-31T23:59:59.999999999Z"}
    assert client.get("/api/v1/generation/history", params=sent).status_code == 200


def test_the_history_is_shown_while_results_is_away(client, behind):
    behind.generation.answers["ListTasks"] = generation.ListTasksResponse(tasks=[a_completed_task(), a_task()])
    behind.results.answers["ListResults"] = Refusal(StatusCode.UNAVAILABLE)
    page = client.get("/api/v1/generation/history").json()
    assert [task["results_unavailable"] for task in page["tasks"]] == [True, False]


def test_a_bad_cursor_is_named_as_the_parameter_that_it_is(client, behind):
    behind.generation.answers["ListTasks"] = Refusal(
        StatusCode.INVALID_ARGUMENT, "INVALID_CURSOR", fields=[("page_token", "was not made by this service")]
    )
    problem = refused(client.get("/api/v1/generation/history?cursor=x"), 422, "invalid_cursor")
    assert problem["errors"] == [{"parameter": "cursor", "detail": "was not made by this service"}]


def test_suggestions_say_where_they_come_from(client, behind):
    behind.generation.answers["SuggestPrompts"] = generation.SuggestPromptsResponse(
        suggestions=[
            generation.Suggestion(text="a lighthouse", source=generation.Suggestion.SOURCE_HISTORY),
            generation.Suggestion(text="a light", source=generation.Suggestion.SOURCE_VOCABULARY),
        ]
    )
    response = client.get("/api/v1/generation/suggestions", params={"q": "a l", "limit": 5})
    assert response.json() == {
        "suggestions": [
            {"text": "a lighthouse", "source": "history"},
            {"text": "a light", "source": "vocabulary"},
        ]
    }
    assert behind.generation.last.message == generation.SuggestPromptsRequest(text="a l", page_size=5)
