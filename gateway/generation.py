"""Tasks: asking for pictures, looking at what became of them, canceling; and suggestions for prompts."""

from collections.abc import Mapping
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import task_pb2
from pydantic import ConfigDict, Field

from gateway.bodies import Answer, Body, Double, Int32, Int64, Moment, NoNul
from gateway.clients import Calls, CallsDependency
from gateway.conditional import etag_of, has
from gateway.idempotency import REPLAYED, IdempotencyKey, replayed
from gateway.origins import Origin
from gateway.paging import LINK, Cursor, next_cursor
from gateway.problems import SIGNED_IN, WITH_BODY, problems
from gateway.security import signed_in
from gateway.tasks import Eta, Status, Task, with_results
from gateway.waiting import PatienceDependency
from services.runtime.protos import from_enum, to_enum, to_timestamp
from services.runtime.requests import about_task

router = APIRouter(prefix="/api/v1/generation", tags=["generation"], dependencies=[signed_in])

_LOCATION = {"description": "The task.", "schema": {"type": "string"}}
_APPLIED = {"description": "`wait=N`, as far as Prefer was heeded.", "schema": {"type": "string"}}


_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_PLAIN = f"[^{_CONTROL}]"
"""The contract says of prompts in CEL what OpenAPI says in a pattern; generation alone judges them."""


class Recipe(Body):
    """What to paint. A parameter that is left out takes the model's default; the seed, a random one."""

    contract = generation.CreateTaskRequest
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"prompt": "a lighthouse at dusk, oil painting", "model": "sdxl"},
                {
                    "prompt": "雨后的江南古镇，水墨画",
                    "model": "sdxl",
                    "negative_prompt": "模糊",
                    "width": 1024,
                    "height": 768,
                    "steps": 25,
                    "cfg": 7.5,
                    "seed": 42,
                    "count": 2,
                },
            ]
        }
    )

    prompt: Annotated[str, Field(json_schema_extra={"pattern": f"^{_PLAIN}*[^\\s{_CONTROL}]{_PLAIN}*$"})]
    model: str
    negative_prompt: Annotated[str | None, Field(json_schema_extra={"pattern": f"^{_PLAIN}*$"})] = None
    width: Int32 | None = None
    height: Int32 | None = None
    steps: Int32 | None = None
    cfg: Double | None = None
    seed: Int64 | None = None
    count: Int32 | None = None


class Draft(Answer):
    """A task that was not asked for, with what would fill in for the parameters that were left out."""

    prompt: str
    negative_prompt: str
    model: str
    width: int
    height: int
    steps: int
    cfg: float
    seed: int | None
    """Null if it was left out: it is drawn when the task is really asked for."""
    count: int


class Cost(Answer):
    gpu_seconds: float
    """Of a GPU: what the caller's fair share would be charged, learnt from earlier tasks."""


class DryRun(Answer):
    """What would come of a request that has been checked and not carried out."""

    accepted: Literal[True] = True
    """What would be refused is answered with the problem that the request itself would meet."""
    task: Draft
    cost: Cost
    eta: Eta | None
    """Null if no worker can paint it now."""


class History(Answer):
    tasks: list[Task]
    next_cursor: str | None
    """Asks for the next page; null on the last."""


class Suggestion(Answer):
    text: str
    """The whole prompt as it would read."""
    source: Literal["history", "vocabulary"]


class Suggestions(Answer):
    suggestions: list[Suggestion]


@router.post(
    "/generate",
    status_code=202,
    response_model=Task,
    responses={
        200: {
            "model": Task | DryRun,
            "description": "With `Prefer: wait`: the task, which has ended. With `dry_run`: what would come of it.",
            "headers": {"Location": _LOCATION, **REPLAYED, "Preference-Applied": _APPLIED},
        },
        202: {"headers": {"Location": _LOCATION, **REPLAYED, "Preference-Applied": _APPLIED}},
        **problems(
            *WITH_BODY,
            *SIGNED_IN,
            "model_unknown",
            "model_unavailable",
            "parameter_out_of_range",
            "request_id_reused",
            "storage_full",
            "user_queue_full",
        ),
    },
)
async def generate(
    *,
    body: Recipe,
    calls: CallsDependency,
    origin: Origin,
    patience: PatienceDependency,
    dry_run: Annotated[
        bool, Query(description="Only say whether it would be accepted, what it would cost and when it would end.")
    ] = False,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """Ask for pictures. The task is accepted and painted later: follow its events or read it again."""
    request = generation.CreateTaskRequest(**body.model_dump(exclude_none=True))
    if dry_run:
        return _json(await _dry_run(calls, request, body.seed), 200)
    request.request_id = idempotency_key
    answer = await calls.unary(calls.generation.CreateTask, request)
    about_task(answer.task.id)
    (task,) = await with_results(calls, origin, [answer.task])
    if patience.seconds:
        task = await patience.watch(
            calls, task.id, lambda: _task(calls, origin, task.id), lambda found: found.has_ended, task
        )
    headers = {"Location": task.links.self_, **patience.headers, **replayed(answer.replayed)}
    return _json(task, 200 if patience.seconds and task.has_ended else 202, headers)


async def _dry_run(calls: Calls, request: generation.CreateTaskRequest, seed: int | None) -> DryRun:
    request.validate_only = True
    answer = await calls.unary(calls.generation.CreateTask, request)
    estimate = answer.estimate
    return DryRun(
        task=Draft.model_validate(answer.task).model_copy(update={"seed": seed}),
        cost=Cost(gpu_seconds=estimate.gpu_seconds),
        eta=Eta.from_proto(estimate.eta) if estimate.HasField("eta") else None,
    )


@router.get(
    "/tasks/{task_id}",
    response_model=Task,
    responses={200: {"headers": {"Preference-Applied": _APPLIED}}, **problems(*SIGNED_IN, "task_not_found")},
)
async def get_task(
    task_id: UUID, request: Request, calls: CallsDependency, origin: Origin, patience: PatienceDependency
) -> Response:
    """A task as it is now, with its pictures once it is completed. With `Prefer: wait`: as soon as it has ended or,
    with `If-None-Match`, as soon as it differs from what the client has.
    """
    known = request.headers.getlist("if-none-match")

    def is_enough(found: Task) -> bool:
        return not has(known, etag_of(_bytes(found))) if known else found.has_ended

    task = await _task(calls, origin, str(task_id))
    if patience.seconds and not (is_enough(task) or task.has_ended):
        task = await patience.watch(calls, task.id, lambda: _task(calls, origin, task.id), is_enough, task)
    return _json(task, 200, patience.headers)


async def _task(calls: Calls, origin: str, task_id: str) -> Task:
    answer = await calls.unary(calls.generation.GetTask, generation.GetTaskRequest(task_id=task_id))
    (task,) = await with_results(calls, origin, [answer.task])
    return task


def _bytes(answer: Answer) -> bytes:
    return answer.model_dump_json(by_alias=True).encode()


def _json(answer: Answer, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """What `_bytes` says, byte for byte: a tag made of those is the answer's own."""
    return Response(_bytes(answer), status, headers, "application/json")


@router.post("/tasks/{task_id}/cancel", responses=problems(*SIGNED_IN, "task_not_found", "task_finished"))
async def cancel_task(task_id: UUID, calls: CallsDependency, origin: Origin) -> Task:
    """Ask a task to stop. A pending one stops at once, a processing one when its worker notices."""
    answer = await calls.unary(calls.generation.CancelTask, generation.CancelTaskRequest(task_id=str(task_id)))
    (task,) = await with_results(calls, origin, [answer.task])
    return task


@router.get(
    "/history",
    responses={200: {"headers": LINK}, **problems(*SIGNED_IN, "invalid_field", "invalid_cursor")},
)
async def history(
    *,
    calls: CallsDependency,
    origin: Origin,
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=100, description="Tasks on a page.")] = 20,
    cursor: Cursor = "",
    status: Annotated[
        list[Status], Query(max_length=5, description="Only tasks in this state; may be given several times.")
    ] = [],  # noqa: B006 - FastAPI copies it
    model: Annotated[NoNul, Query(max_length=64, description="Only tasks of this model.")] = "",
    created_from: Annotated[Moment | None, Query(description="Only tasks made at this moment or later.")] = None,
    created_before: Annotated[Moment | None, Query(description="Only tasks made before this moment.")] = None,
    q: Annotated[NoNul, Query(max_length=200, description="Only tasks whose prompt has this text.")] = "",
) -> History:
    """The caller's tasks that pass every filter, newest first."""
    answer = await calls.unary(
        calls.generation.ListTasks,
        generation.ListTasksRequest(
            page_size=limit,
            page_token=cursor,
            states=[to_enum(task_pb2.TaskState, one) for one in status],
            model=model,
            created_from=to_timestamp(created_from),
            created_before=to_timestamp(created_before),
            text=q,
        ),
    )
    tasks = await with_results(calls, origin, answer.tasks)
    return History(tasks=tasks, next_cursor=next_cursor(request, response, answer.next_page_token))


@router.get("/suggestions", responses=problems(*SIGNED_IN, "invalid_field"))
async def suggestions(
    calls: CallsDependency,
    q: Annotated[NoNul, Query(max_length=2000, description="What has been typed so far.")] = "",
    limit: Annotated[int, Query(ge=1, le=20)] = 8,
) -> Suggestions:
    """Completions of what is being typed: the caller's own recent prompts, then words of a curated vocabulary."""
    request = generation.SuggestPromptsRequest(text=q, page_size=limit)
    answer = await calls.unary(calls.generation.SuggestPrompts, request)
    return Suggestions(
        suggestions=[
            Suggestion(text=found.text, source=from_enum(generation.Suggestion.Source, found.source))
            for found in answer.suggestions
        ]
    )
