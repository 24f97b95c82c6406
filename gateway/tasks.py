"""A task as JSON, composed of what generation knows of it and of its pictures."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

import grpc
import structlog
from imagegen.generation.v1 import task_pb2
from imagegen.results.v1 import results_service_pb2 as results_service
from pydantic import Field

from gateway.bodies import Answer
from gateway.clients import Calls
from gateway.results import Result
from services.runtime.protos import from_enum, from_timestamp

log = structlog.get_logger()

Status = Literal["pending", "processing", "completed", "failed", "canceled"]
PhaseName = Literal["queued", "starting", "painting", "model_load", "steps", "decode", "store", "lost"]
WaitingReason = Literal["queued", "cold", "model_loading", "no_capacity", "user_cap", "paused"]


class Progress(Answer):
    """Steps of the current attempt."""

    step: int
    steps: int
    percent: int

    @classmethod
    def from_proto(cls, progress: task_pb2.Progress) -> Self:
        percent = 100 * progress.step // progress.steps if progress.steps else 0
        return cls(step=progress.step, steps=progress.steps, percent=percent)


class Eta(Answer):
    """When an unfinished task will probably have ended, learnt from earlier ones."""

    p50: datetime
    """Half of such tasks have ended by then."""
    p90: datetime
    """Nine of ten have."""

    @classmethod
    def from_proto(cls, eta: task_pb2.Eta) -> Self:
        return cls(p50=from_timestamp(eta.p50_time), p90=from_timestamp(eta.p90_time))


class Phase(Answer):
    """A part of a task's life."""

    phase: PhaseName
    """`starting`: a worker has it and its engine has not begun. `painting`: the engine has not told at what it works.
    `lost`: an attempt that came to nothing, and was followed by another or by the end.
    """
    started_at: datetime
    seconds: float

    @classmethod
    def from_proto(cls, phase: task_pb2.Phase) -> Self:
        return cls(
            phase=from_enum(task_pb2.PhaseKind, phase.kind),
            started_at=from_timestamp(phase.start_time),
            seconds=phase.duration.ToTimedelta().total_seconds(),
        )


class Failure(Answer):
    code: str
    message: str


class Links(Answer):
    self_: str = Field(alias="self")
    events: str
    cancel: str


_TIMELINE = [
    {"phase": "queued", "started_at": "2026-06-01T12:00:00Z", "seconds": 2.25},
    {"phase": "starting", "started_at": "2026-06-01T12:00:02.25Z", "seconds": 0.05},
    {"phase": "painting", "started_at": "2026-06-01T12:00:02.3Z", "seconds": 0.2},
    {"phase": "steps", "started_at": "2026-06-01T12:00:02.5Z", "seconds": 8.5},
    {"phase": "decode", "started_at": "2026-06-01T12:00:11Z", "seconds": 0.75},
    {"phase": "store", "started_at": "2026-06-01T12:00:11.75Z", "seconds": 0.25},
]


class Task(Answer):
    """What a person asked for. It ends exactly once: completed, failed or canceled."""

    id: str
    status: Status
    waiting_reason: WaitingReason | None
    """Why a pending task waits; `model_loading` also of a processing one, until its first step."""
    prompt: str
    negative_prompt: str
    model: str
    width: int
    height: int
    steps: int
    cfg: float
    seed: int
    count: int
    progress: Progress | None
    position: int | None
    """Place in the queue, 1 is next; null when it does not wait, or is not known just now."""
    eta: Eta | None
    """Null when it has ended, or is not known just now."""
    cancel_requested: bool
    """A cancel was asked for and the task has not stopped yet."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    timeline: Annotated[list[Phase], Field(json_schema_extra={"examples": [_TIMELINE]})]
    """What an ended task was at, from `created_at` to `finished_at` without a gap: the parts add up. Empty before the
    end, in lists, and of tasks from before timelines were kept.
    """
    links: Links
    results: list[Result]
    results_unavailable: bool
    """The task is completed and its pictures could not be asked for just now."""
    error: Failure | None
    """How a failed task ended."""

    @property
    def has_ended(self) -> bool:
        return self.status in ("completed", "failed", "canceled")

    @classmethod
    def from_proto(cls, task: task_pb2.Task, results: Sequence[Result] | None) -> Self:
        """`results` None: they could not be asked for."""
        path = f"/api/v1/generation/tasks/{task.id}"
        return cls(
            id=task.id,
            status=from_enum(task_pb2.TaskState, task.state),
            waiting_reason=from_enum(task_pb2.WaitingReason, task.waiting_reason),
            prompt=task.prompt,
            negative_prompt=task.negative_prompt,
            model=task.model,
            width=task.width,
            height=task.height,
            steps=task.steps,
            cfg=task.cfg,
            seed=task.seed,
            count=task.count,
            progress=Progress.from_proto(task.progress) if task.HasField("progress") else None,
            position=task.position or None,
            eta=Eta.from_proto(task.eta) if task.HasField("eta") else None,
            cancel_requested=task.cancel_requested,
            created_at=from_timestamp(task.create_time),
            started_at=from_timestamp(task.start_time) if task.HasField("start_time") else None,
            finished_at=from_timestamp(task.finish_time) if task.HasField("finish_time") else None,
            timeline=[Phase.from_proto(phase) for phase in task.timeline],
            links=Links(self=path, events=f"{path}/events", cancel=f"{path}/cancel"),
            results=results or [],
            results_unavailable=results is None,
            error=Failure(code=from_enum(task_pb2.FailureReason, task.failure.reason), message=task.failure.message)
            if task.HasField("failure")
            else None,
        )


async def with_results(calls: Calls, origin: str, tasks: Sequence[task_pb2.Task]) -> list[Task]:
    """The tasks with their pictures, by one call of results; if that fails, without."""
    pictures: dict[str, list[Result] | None] = {task.id: [] for task in tasks}
    completed = [task.id for task in tasks if task.state == task_pb2.TASK_STATE_COMPLETED]
    if completed:  # an empty list of tasks would ask for everything that the caller has
        try:
            pictures |= await _results_of(calls, origin, completed)
        except grpc.aio.AioRpcError as error:
            log.warning("tasks are answered without their results", code=error.code().name)
            pictures |= dict.fromkeys(completed)
    return [Task.from_proto(task, pictures[task.id]) for task in tasks]


async def _results_of(calls: Calls, origin: str, task_ids: Sequence[str]) -> Mapping[str, list[Result]]:
    answer = await calls.unary(calls.results.ListResults, results_service.ListResultsRequest(task_ids=task_ids))
    found = defaultdict(list)
    for result in answer.results:
        found[result.task_id].append(Result.from_proto(result, origin))
    return found
