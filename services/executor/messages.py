"""Jobs as the contract shows them."""

from imagegen.executor.v1 import job_pb2

from services.executor.domain import Failure, Job, Spec, State, WaitingReason
from services.runtime.protos import to_enum, to_timestamp


def job_to_proto(
    job: Job,
    *,
    waiting_reason: WaitingReason = WaitingReason.QUEUED,
    position: int = 0,
    progress: job_pb2.Progress | None = None,
) -> job_pb2.Job:
    """`waiting_reason` and `position` count while the job is pending, `progress` while it is processing."""
    is_pending = job.state is State.PENDING
    return job_pb2.Job(
        id=str(job.id),
        owner_id=str(job.owner_id),
        model=job.model,
        state=to_enum(job_pb2.JobState, job.state),
        version=job.version,
        attempts=job.attempts,
        waiting_reason=to_enum(job_pb2.WaitingReason, waiting_reason if is_pending else None),
        position=position if is_pending else 0,
        progress=progress if job.state is State.PROCESSING else None,
        failure=failure_to_proto(job.failure) if job.failure else None,
        create_time=to_timestamp(job.created_at),
        start_time=to_timestamp(job.started_at),
        finish_time=to_timestamp(job.finished_at),
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
