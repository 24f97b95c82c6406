"""The executor as generation sees it: jobs and models asked for, told back in this context's words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import grpc
import structlog
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import executor_service_pb2_grpc, job_pb2, model_pb2

from services.generation.catalogue import Availability, Defaults, Limits, LocalizedText, Model, Range
from services.generation.domain import (
    Estimate,
    Eta,
    Failure,
    FailureReason,
    Live,
    OwnerId,
    Phase,
    PhaseKind,
    Progress,
    Snapshot,
    Spec,
    State,
    Task,
    TaskId,
    WaitingReason,
)
from services.runtime.channels import Peer
from services.runtime.logs import describe
from services.runtime.protos import from_enum, from_timestamp, to_enum

log = structlog.get_logger()

CALL_SECONDS = 2.0
"""No unary call of the executor takes longer unless it is away."""

GLANCE_SECONDS = 0.3
"""A person waits for this: better an answer without the place in the queue than a late one."""

REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}
ABSENCES = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
OURS = grpc.StatusCode.CANCELLED
"""This process stops."""


class ExecutorSilent(Exception):
    """The executor gave no usable answer; a later try may get one."""


class ExecutorFailed(ExecutorSilent):
    """The executor is there, and answered with an error of its own or with what is not understood."""


class SubmitRefused(Exception):
    """The executor will not take this job, now or later; the message is for a person."""


class Executor:
    """Calls from threads. `is_reachable`: the last call that had time to wait was answered."""

    def __init__(self, channel: grpc.Channel, peer: Peer) -> None:
        self._channel = channel
        self._stub = executor_service_pb2_grpc.ExecutorServiceStub(channel)
        self._peer = peer
        self._is_closed = False
        self.is_reachable = False

    def submit(self, task: Task) -> Snapshot:
        """Raises SubmitRefused or ExecutorSilent, ExecutorFailed among that."""
        request = pb.SubmitJobRequest(
            job_id=str(task.id),
            owner_id=str(task.owner_id),
            model=task.model,
            spec=job_pb2.JobSpec(**vars(task.spec)),
        )
        with self._answered(), _refusals():
            answer = self._stub.SubmitJob(request, timeout=CALL_SECONDS, metadata=self._peer.metadata())
            return snapshot_from(answer.job)

    def estimate(self, owner_id: OwnerId, model: str, spec: Spec) -> Estimate:
        """What a submit would come to. Raises SubmitRefused or ExecutorSilent."""
        request = pb.EstimateJobRequest(owner_id=str(owner_id), model=model, spec=job_pb2.JobSpec(**vars(spec)))
        with self._answered(), _refusals():
            answer = self._stub.EstimateJob(request, timeout=CALL_SECONDS, metadata=self._peer.metadata())
            return Estimate(answer.gpu_seconds, _eta(answer) if answer.HasField("p50_time") else None)

    def cancel(self, task: Task) -> Snapshot:
        """Raises ExecutorSilent."""
        request = pb.CancelJobRequest(job_id=str(task.id), owner_id=str(task.owner_id))
        with self._answered():
            answer = self._stub.CancelJob(request, timeout=CALL_SECONDS, metadata=self._peer.metadata())
            return snapshot_from(answer.job)

    def jobs(self, task_ids: Sequence[TaskId]) -> dict[TaskId, Snapshot]:
        """The jobs that exist, of at most 500. Raises ExecutorSilent."""
        with self._answered():
            return self._get(task_ids, CALL_SECONDS)

    def glance(self, task_ids: Sequence[TaskId]) -> dict[TaskId, Snapshot]:
        """What the executor can tell at once; nothing if it is away or slow."""
        if not self.is_reachable or not task_ids:
            return {}
        try:
            return self._get(task_ids, GLANCE_SECONDS)
        except (grpc.RpcError, ValueError):  # the latter: it speaks of what is not known here
            return {}

    def models(self) -> list[Model]:
        """In order of display. Raises ExecutorSilent."""
        request = pb.ListModelsRequest()
        with self._answered():
            answer = self._stub.ListModels(request, timeout=CALL_SECONDS, metadata=self._peer.metadata())
            return [_model(model) for model in answer.models]

    @contextmanager
    def transitions(self) -> Iterator[Iterator[Snapshot]]:
        """Jobs as they change, from the moment of the call on. Reading raises ExecutorSilent when the stream breaks."""
        call = self._stub.WatchTransitions(pb.WatchTransitionsRequest(), metadata=self._peer.metadata())
        try:
            yield self._read(call)
        finally:
            call.cancel()

    def close(self) -> None:
        """Ends every call that is open."""
        self._is_closed = True
        self._channel.close()

    def _read(self, call: Iterator[pb.WatchTransitionsResponse]) -> Iterator[Snapshot]:
        with self._answered():
            for event in call:
                yield snapshot_from(event.job)

    def _get(self, task_ids: Sequence[TaskId], seconds: float) -> dict[TaskId, Snapshot]:
        request = pb.BatchGetJobsRequest(job_ids=[str(task_id) for task_id in task_ids])
        answer = self._stub.BatchGetJobs(request, timeout=seconds, metadata=self._peer.metadata())
        snapshots = (snapshot_from(job) for job in answer.jobs)
        return {snapshot.task_id: snapshot for snapshot in snapshots}

    @contextmanager
    def _answered(self) -> Iterator[None]:
        """Notes whether the executor is there, and turns whatever goes wrong into ExecutorSilent or ExecutorFailed."""
        try:
            yield
        except grpc.RpcError as error:
            code = error.code()
            self._note(is_reachable=code not in ABSENCES, code=code)
            raise (ExecutorSilent if code in {*ABSENCES, OURS} else ExecutorFailed)(code.name) from error
        except SubmitRefused:
            raise
        except Exception as error:
            if self._is_closed:
                raise ExecutorSilent(OURS.name) from error
            log.error("executor not understood", **describe(error))  # noqa: TRY400 - the text may quote a prompt
            raise ExecutorFailed(type(error).__name__) from error
        self._note(is_reachable=True, code=grpc.StatusCode.OK)

    def _note(self, *, is_reachable: bool, code: grpc.StatusCode) -> None:
        if is_reachable != self.is_reachable:
            self.is_reachable = is_reachable
            log.info("executor is there" if is_reachable else "executor is away", code=code.name)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns the executor's no to a job into SubmitRefused."""
    try:
        yield
    except grpc.RpcError as error:
        if error.code() in REFUSALS:
            raise SubmitRefused(_sentence(error.details() or "it was refused")) from error
        raise


def _sentence(text: str) -> str:
    """An error's text as a person reads it."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def snapshot_from(job: job_pb2.Job) -> Snapshot:
    waiting_reason = from_enum(job_pb2.WaitingReason, job.waiting_reason)
    return Snapshot(
        task_id=TaskId(UUID(job.id)),
        version=job.version,
        state=State(from_enum(job_pb2.JobState, job.state) or ""),
        live=Live(
            position=job.position,
            waiting_reason=WaitingReason(waiting_reason) if waiting_reason else None,
            progress=Progress(job.progress.step, job.progress.steps) if job.HasField("progress") else None,
            eta=_eta(job.eta) if job.HasField("eta") else None,
        ),
        failure=_failure(job.failure) if job.HasField("failure") else None,
        started_at=from_timestamp(job.start_time) if job.HasField("start_time") else None,
        finished_at=from_timestamp(job.finish_time) if job.HasField("finish_time") else None,
        timeline=_timeline(job),
    )


def _timeline(job: job_pb2.Job) -> tuple[Phase, ...]:
    """A phase that is not known here counts to the one before it: no task stays open for that."""
    known = {to_enum(job_pb2.PhaseKind, kind): kind for kind in PhaseKind}
    return tuple(
        Phase(known[phase.kind], from_timestamp(phase.start_time)) for phase in job.timeline if phase.kind in known
    )


def _eta(eta: job_pb2.Eta | pb.EstimateJobResponse) -> Eta:
    return Eta(from_timestamp(eta.p50_time), from_timestamp(eta.p90_time))


def _failure(failure: job_pb2.Failure) -> Failure:
    reason = from_enum(job_pb2.FailureReason, failure.reason)
    return Failure(FailureReason(reason or ""), failure.message)


def _model(model: model_pb2.Model) -> Model:
    limits, defaults = model.limits, model.defaults
    return Model(
        name=model.name,
        display_name=LocalizedText(model.display_name.en, model.display_name.zh),
        description=LocalizedText(model.description.en, model.description.zh),
        license=model.license,
        limits=Limits(
            width=_int_range(limits.width),
            height=_int_range(limits.height),
            size_multiple=limits.size_multiple or 1,
            max_pixels=limits.max_pixels,
            steps=_int_range(limits.steps),
            cfg=Range(limits.cfg.min, limits.cfg.max) if limits.HasField("cfg") else None,
            count=_int_range(limits.count),
        ),
        defaults=Defaults(
            width=defaults.width,
            height=defaults.height,
            steps=defaults.steps,
            cfg=defaults.cfg,
            negative_prompt=defaults.negative_prompt,
        ),
        negative_prompt_supported=model.negative_prompt_supported,
        availability=Availability(from_enum(model_pb2.ModelAvailability, model.availability) or ""),
        unavailable_reason=model.unavailable_reason,
    )


def _int_range(range_: model_pb2.IntRange) -> Range[int]:
    return Range(range_.min, range_.max)
