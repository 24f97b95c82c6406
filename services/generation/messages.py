"""Tasks and models as the contract shows them."""

from datetime import datetime, timedelta
from typing import Literal

from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import model_pb2, task_pb2

from services.generation.catalogue import LocalizedText, Model, Range
from services.generation.domain import Estimate, Eta, Filter, Live, Phase, Request, Spec, State, Task, WaitingReason
from services.runtime.errors import InvalidField
from services.runtime.protos import from_enum, from_timestamp, to_duration, to_enum, to_timestamp


def request_from(message: pb.CreateTaskRequest) -> Request:
    """A field that is absent stays None: it is left to the model."""
    given = {field.name: value for field, value in message.ListFields()}
    for field in ("request_id", "validate_only"):
        given.pop(field, None)
    return Request(**given)


def filter_from(message: pb.ListTasksRequest) -> Filter:
    """Raises InvalidField."""
    return Filter(
        states=frozenset(State(from_enum(task_pb2.TaskState, state) or "") for state in message.states),
        model=message.model,
        created_from=_moment(message, "created_from"),
        created_before=_moment(message, "created_before"),
        text=message.text,
    )


def _moment(message: pb.ListTasksRequest, field: Literal["created_from", "created_before"]) -> datetime | None:
    if not message.HasField(field):
        return None
    try:
        return from_timestamp(getattr(message, field))
    except ValueError as error:
        raise InvalidField([(field, "must be a moment in the years 1 to 9999")]) from error


def draft_to_proto(model: str, spec: Spec) -> task_pb2.Task:
    """A task that nobody has made."""
    return task_pb2.Task(state=task_pb2.TASK_STATE_PENDING, model=model, **vars(spec))


def estimate_to_proto(estimate: Estimate) -> pb.Estimate:
    return pb.Estimate(gpu_seconds=estimate.gpu_seconds, eta=_eta(estimate.eta))


def task_to_proto(task: Task, *, is_listed: bool = False) -> task_pb2.Task:
    """One of many in a list comes without its timeline."""
    live = task.live or Live()
    is_pending = task.state is State.PENDING
    progress = live.progress if task.state is State.PROCESSING else None
    return task_pb2.Task(
        id=str(task.id),
        state=to_enum(task_pb2.TaskState, task.state),
        model=task.model,
        **vars(task.spec),
        waiting_reason=to_enum(task_pb2.WaitingReason, _waiting_reason(task, live)),
        position=live.position if is_pending else 0,
        progress=task_pb2.Progress(step=progress.step, steps=progress.steps) if progress else None,
        failure=task_pb2.Failure(
            reason=to_enum(task_pb2.FailureReason, task.failure.reason), message=task.failure.message
        )
        if task.failure
        else None,
        cancel_requested=task.cancel_requested_at is not None and not task.is_finished,
        create_time=to_timestamp(task.created_at),
        start_time=to_timestamp(task.started_at),
        finish_time=to_timestamp(task.finished_at),
        eta=_eta(live.eta),
        timeline=[] if is_listed else [_phase(phase, length) for phase, length in task.parts],
    )


def _phase(phase: Phase, length: timedelta) -> task_pb2.Phase:
    return task_pb2.Phase(
        kind=to_enum(task_pb2.PhaseKind, phase.kind),
        start_time=to_timestamp(phase.started_at),
        duration=to_duration(length),
    )


def _eta(eta: Eta | None) -> task_pb2.Eta | None:
    return task_pb2.Eta(p50_time=to_timestamp(eta.p50), p90_time=to_timestamp(eta.p90)) if eta else None


def _waiting_reason(task: Task, live: Live) -> WaitingReason | None:
    """A processing task waits for one thing only: its model."""
    if task.state is State.PENDING:
        return live.waiting_reason or task.waiting_reason
    return live.waiting_reason if live.waiting_reason is WaitingReason.MODEL_LOADING else None


def model_to_proto(model: Model) -> model_pb2.Model:
    limits, defaults = model.limits, model.defaults
    return model_pb2.Model(
        name=model.name,
        display_name=_text(model.display_name),
        description=_text(model.description),
        license=model.license,
        limits=model_pb2.ModelLimits(
            width=_int_range(limits.width),
            height=_int_range(limits.height),
            size_multiple=limits.size_multiple,
            max_pixels=limits.max_pixels,
            steps=_int_range(limits.steps),
            cfg=model_pb2.DoubleRange(min=limits.cfg.min, max=limits.cfg.max) if limits.cfg else None,
            count=_int_range(limits.count),
        ),
        defaults=model_pb2.ModelDefaults(**vars(defaults)),
        negative_prompt_supported=model.negative_prompt_supported,
        availability=to_enum(model_pb2.ModelAvailability, model.availability),
        unavailable_reason=model.unavailable_reason,
        is_active=model.is_active,
    )


def _text(text: LocalizedText) -> model_pb2.LocalizedText:
    return model_pb2.LocalizedText(en=text.en, zh=text.zh)


def _int_range(range_: Range[int]) -> model_pb2.IntRange:
    return model_pb2.IntRange(min=range_.min, max=range_.max)
