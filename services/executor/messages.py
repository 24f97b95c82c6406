"""Jobs as the contract shows them."""

from imagegen.executor.v1 import job_pb2

from services.executor.domain import Failure, Job, Spec, State
from services.executor.scheduling.queue_view import Outlook
from services.executor.workers import WaitingReason
from services.runtime.protos import to_enum, to_timestamp


def job_to_proto(job: Job, outlook: Outlook | None = None, progress: job_pb2.Progress | None = None) -> job_pb2.Job:
    """`outlook` counts until the job has ended, `progress` while it is processing."""
    outlook = outlook or Outlook()
    reason: WaitingReason | None = None
    if job.state is State.PENDING or (job.state is State.PROCESSING and outlook.reason is WaitingReason.MODEL_LOADING):
        reason = outlook.reason
    return job_pb2.Job(
        id=str(job.id),
        owner_id=str(job.owner_id),
        model=job.model,
        state=to_enum(job_pb2.JobState, job.state),
        version=job.version,
        attempts=job.attempts,
        waiting_reason=to_enum(job_pb2.WaitingReason, reason),
        position=outlook.position if job.is_waiting else 0,
        progress=progress if job.state is State.PROCESSING else None,
        failure=failure_to_proto(job.failure) if job.failure else None,
        create_time=to_timestamp(job.created_at),
        start_time=to_timestamp(job.started_at),
        finish_time=to_timestamp(job.finished_at),
        eta=job_pb2.Eta(p50_time=to_timestamp(outlook.p50), p90_time=to_timestamp(outlook.p90))
        if outlook.p50 and not job.is_finished
        else None,
        timeline=[
            job_pb2.Phase(kind=to_enum(job_pb2.PhaseKind, phase.kind), start_time=to_timestamp(phase.started_at))
            for phase in job.phases
        ],
    )


def failure_to_proto(failure: Failure) -> job_pb2.Failure:
    return job_pb2.Failure(reason=to_enum(job_pb2.FailureReason, failure.reason), message=failure.message)


def spec_from_proto(spec: job_pb2.JobSpec) -> Spec:
    return Spec(
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        width=spec.width,
        height=spec.height,
        steps=spec.steps,
        cfg=spec.cfg,
        seed=spec.seed,
        count=spec.count,
    )
