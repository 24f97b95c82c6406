"""Tasks, snapshots, models and jobs; a test states only what it is about."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from imagegen.executor.v1 import model_pb2

from services.generation.catalogue import Availability, Defaults, Limits, LocalizedText, Model, Range
from services.generation.domain import (
    TERMINAL,
    Failure,
    FailureReason,
    Live,
    OwnerId,
    Request,
    Snapshot,
    Spec,
    State,
    Task,
    TaskId,
)
from services.runtime.ids import uuid7

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

OUT_OF_MEMORY = Failure(FailureReason.OUT_OF_MEMORY, "The picture did not fit on the GPU.")


def a_spec(**fields: object) -> Spec:
    spec = Spec(prompt="a lighthouse", negative_prompt="", width=512, height=512, steps=20, cfg=8.0, seed=7, count=1)
    return replace(spec, **fields)


def a_task(*, state: State = State.PENDING, version: int = 0, tried: bool = False, **fields: object) -> Task:
    """A new task; one with a version, or in another state, has been submitted."""
    task = Task(TaskId(uuid7()), OwnerId(uuid4()), "sd15", a_spec(), NOW)
    if tried or version or state is not State.PENDING:
        task = task.try_submit(NOW)
    if version or state is not State.PENDING:
        task = task.apply(a_snapshot(task, state=state, version=version or 1), NOW)
    return replace(task, **fields)


def a_snapshot(task: Task, *, state: State = State.PENDING, version: int = 1, live: Live | None = None) -> Snapshot:
    return Snapshot(
        task_id=task.id,
        version=version,
        state=state,
        live=live or Live(),
        failure=OUT_OF_MEMORY if state is State.FAILED else None,
        started_at=NOW if state is not State.PENDING else None,
        finished_at=NOW if state in TERMINAL else None,
    )


def a_request(**fields: object) -> Request:
    return replace(Request(prompt="a lighthouse", model="sd15"), **fields)


def a_model(**fields: object) -> Model:
    model = Model(
        name="sd15",
        display_name=LocalizedText("Stable Diffusion 1.5", "Stable Diffusion 1.5"),
        description=LocalizedText("The small classic.", "小巧的经典模型。"),
        license="CreativeML Open RAIL-M",
        limits=Limits(
            width=Range(64, 2048),
            height=Range(64, 2048),
            size_multiple=8,
            max_pixels=1024 * 1024,
            steps=Range(1, 100),
            cfg=Range(1.0, 30.0),
            count=Range(1, 2),
        ),
        defaults=Defaults(width=512, height=768, steps=20, cfg=8.0, negative_prompt="blurry"),
        negative_prompt_supported=True,
        availability=Availability.AVAILABLE,
        unavailable_reason="",
    )
    return replace(model, **fields)


def a_model_message(name: str = "sd15", **fields: object) -> model_pb2.Model:
    """As the executor tells of `a_model()`."""
    message = model_pb2.Model(
        name=name,
        display_name=model_pb2.LocalizedText(en="Stable Diffusion 1.5", zh="Stable Diffusion 1.5"),
        description=model_pb2.LocalizedText(en="The small classic.", zh="小巧的经典模型。"),
        license="CreativeML Open RAIL-M",
        limits=model_pb2.ModelLimits(
            width=model_pb2.IntRange(min=64, max=2048),
            height=model_pb2.IntRange(min=64, max=2048),
            size_multiple=8,
            max_pixels=1024 * 1024,
            steps=model_pb2.IntRange(min=1, max=100),
            cfg=model_pb2.DoubleRange(min=1, max=30),
            count=model_pb2.IntRange(min=1, max=2),
        ),
        defaults=model_pb2.ModelDefaults(width=512, height=768, steps=20, cfg=8, negative_prompt="blurry"),
        negative_prompt_supported=True,
        availability=model_pb2.MODEL_AVAILABILITY_AVAILABLE,
    )
    message.MergeFrom(model_pb2.Model(**fields))
    return message
