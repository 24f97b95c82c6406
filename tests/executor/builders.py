"""Jobs for tests: state only what the test is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from services.executor.domain import EngineId, Failure, FailureReason, Job, JobId, Lease, OwnerId, PromptId, Spec, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=10)
GRACE = timedelta(seconds=20)
ENGINE = EngineId(uuid4())
FAILURE = Failure(FailureReason.ENGINE_FAILED, "The engine failed.")


def a_spec(**changes: Any) -> Spec:
    spec = Spec("a lighthouse", "", 512, 512, 4, 7.0, 42, 1)
    return replace(spec, **changes)


def a_job(state: State = State.PENDING, *, leased: bool | None = None, **changes: Any) -> Job:
    """A job in that state; with a lease if it is processing, or if asked for."""
    is_finished = state in (State.COMPLETED, State.FAILED, State.CANCELED)
    has_lease = state is State.PROCESSING if leased is None else leased
    job = Job(
        id=JobId(uuid4()),
        owner_id=OwnerId(uuid4()),
        model="sd15",
        spec=a_spec(),
        created_at=NOW,
        state=state,
        lease=Lease(ENGINE, PromptId(uuid4()), NOW + LEASE) if has_lease else None,
        lease_epoch=1 if has_lease or is_finished else 0,
        started_at=NOW if state is State.PROCESSING else None,
        finished_at=NOW if is_finished else None,
        failure=FAILURE if state is State.FAILED else None,
    )
    return replace(job, **changes)
