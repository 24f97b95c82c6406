"""Tasks: asking for pictures, looking at what became of them, canceling; and suggestions for prompts."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from imagegen.generation.v1 import generation_service_pb2 as generation
from pydantic import ConfigDict

from gateway.bodies import Answer, Body, Double, Int32, Int64
from gateway.clients import CallsDependency
from gateway.problems import SIGNED_IN, WITH_BODY, problems
from gateway.results import Origin
from gateway.security import signed_in
from gateway.tasks import Task, with_results
from services.runtime.protos import from_enum

router = APIRouter(prefix="/api/v1/generation", tags=["generation"], dependencies=[signed_in])


class Recipe(Body):
    """What to paint. A parameter that is left out takes the model's default; the seed, a random one."""

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

    prompt: str
    model: str
    negative_prompt: str | None = None
    width: Int32 | None = None
    height: Int32 | None = None
    steps: Int32 | None = None
    cfg: Double | None = None
    seed: Int64 | None = None
    count: Int32 | None = None


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
    responses={
        202: {
            "headers": {
                "Location": {"description": "The task.", "schema": {"type": "string"}},
                "Idempotent-Replayed": {
                    "description": "`true` if an earlier request with this Idempotency-Key made the task.",
                    "schema": {"type": "string"},
                },
            }
        },
        **problems(
            *WITH_BODY,
            *SIGNED_IN,
            "model_unknown",
            "model_unavailable",
            "parameter_out_of_range",
            "request_id_reused",
            "user_queue_full",
        ),
    },
)
async def generate(
    body: Recipe,
    calls: CallsDependency,
    origin: Origin,
    response: Response,
    idempotency_key: Annotated[
        str, Header(alias="Idempotency-Key", description="Makes a retry safe: a repeat answers the first one's task.")
    ] = "",
) -> Task:
    """Ask for pictures. The task is accepted and painted later: follow its events or read it again."""
    request = generation.CreateTaskRequest(request_id=idempotency_key, **body.model_dump(exclude_none=True))
    answer = await calls.unary(calls.generation.CreateTask, request)
    (task,) = await with_results(calls, origin, [answer.task])
    response.headers["Location"] = task.links.self_
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return task


@router.get("/tasks/{task_id}", responses=problems(*SIGNED_IN, "task_not_found"))
async def get_task(task_id: UUID, calls: CallsDependency, origin: Origin) -> Task:
    """A task as it is now, with its pictures once it is completed."""
    answer = await calls.unary(calls.generation.GetTask, generation.GetTaskRequest(task_id=str(task_id)))
    (task,) = await with_results(calls, origin, [answer.task])
    return task


@router.post("/tasks/{task_id}/cancel", responses=problems(*SIGNED_IN, "task_not_found", "task_finished"))
async def cancel_task(task_id: UUID, calls: CallsDependency, origin: Origin) -> Task:
    """Ask a task to stop. A pending one stops at once, a processing one when its worker notices."""
    answer = await calls.unary(calls.generation.CancelTask, generation.CancelTaskRequest(task_id=str(task_id)))
    (task,) = await with_results(calls, origin, [answer.task])
    return task


@router.get("/history", responses=problems(*SIGNED_IN, "invalid_field", "invalid_cursor"))
async def history(
    calls: CallsDependency,
    origin: Origin,
    limit: Annotated[Int32, Query(description="Tasks on a page, 1 to 100.")] = 20,
    cursor: Annotated[str, Query(description="`next_cursor` of the page before.")] = "",
) -> History:
    """The caller's tasks, newest first."""
    request = generation.ListTasksRequest(page_size=limit, page_token=cursor)
    answer = await calls.unary(calls.generation.ListTasks, request)
    tasks = await with_results(calls, origin, answer.tasks)
    return History(tasks=tasks, next_cursor=answer.next_page_token or None)


@router.get("/suggestions", responses=problems(*SIGNED_IN, "invalid_field"))
async def suggestions(
    calls: CallsDependency,
    q: Annotated[str, Query(description="What has been typed so far.")] = "",
    limit: Annotated[Int32, Query(description="Up to 20.")] = 8,
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
