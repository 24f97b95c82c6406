"""Tasks, as their owners ask for them and as they are handed to the executor."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from services.generation.domain import (
    Failure,
    FailureReason,
    Filter,
    OwnerId,
    Phase,
    PhaseKind,
    Spec,
    State,
    Task,
    TaskId,
    TaskNotFound,
    WaitingReason,
)
from services.generation.store.tables import generation_tasks, unfinished, unsubmitted
from services.runtime.ids import first_uuid7

_t = generation_tasks.c

RECENT_TASKS = 1000
"""How far back tasks count as recent: bounds a search whatever the length of a history."""


class Listed(NamedTuple):
    """As much of a task as tells whether anything of it is to be followed."""

    owner_id: OwnerId
    task_id: TaskId
    is_finished: bool


def lock_owner(tx: Connection, owner_id: OwnerId) -> None:
    """One creation or erasure at a time per owner, until the transaction ends."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(str(owner_id), 0))))


def delete_tasks(tx: Connection, owner_id: OwnerId, limit: int) -> int:
    """Delete so many of the owner's tasks, or all that are left; how many those were.

    Locked in order of id, as `lock_older` does.
    """
    some = sa.select(_t.id).where(_t.user_id == owner_id).order_by(_t.id).limit(limit).with_for_update()
    return tx.execute(sa.delete(generation_tasks).where(_t.id.in_(some))).rowcount


def count_unfinished(tx: Connection, owner_id: OwnerId) -> int:
    query = sa.select(sa.func.count()).where(_t.user_id == owner_id, unfinished)
    return tx.execute(query).scalar_one()


def find_request(tx: Connection, owner_id: OwnerId, request_id: str) -> tuple[Task, bytes] | None:
    """The task that an earlier request made, with that request's digest."""
    row = tx.execute(sa.select(generation_tasks).where(_t.user_id == owner_id, _t.request_id == request_id)).first()
    return (_task(row), row.request_hash) if row else None


def insert_task(tx: Connection, task: Task, request: tuple[str, bytes] | None) -> None:
    """Write a new task; `request` is the request id and the request's digest."""
    request_id, request_hash = request or (None, None)
    columns = {
        "id": task.id,
        "user_id": task.owner_id,
        "model_name": task.model,
        "origin": task.origin,
        "traceparent": task.traceparent,
        "created_at": task.created_at,
        "request_id": request_id,
        "request_hash": request_hash,
        **vars(task.spec),
        **_standing(task),
    }
    tx.execute(sa.insert(generation_tasks).values(columns))


def get_task(tx: Connection, owner_id: OwnerId, task_id: TaskId, *, lock: bool = False) -> Task:
    """The owner's task. Raises TaskNotFound, also if it is somebody else's."""
    query = sa.select(generation_tasks).where(_t.id == task_id, _t.user_id == owner_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise TaskNotFound
    return _task(row)


def list_tasks(tx: Connection, owner_id: OwnerId, wanted: Filter, after: TaskId | None, limit: int) -> list[Task]:
    """The owner's tasks that are wanted, newest first, from the one after `after`."""
    query = sa.select(generation_tasks).where(_t.user_id == owner_id).order_by(_t.id.desc()).limit(limit)
    if after is not None:
        query = query.where(_t.id < after)
    if wanted.states:
        query = query.where(_t.status.in_(wanted.states))
    if wanted.model:
        query = query.where(_t.model_name == wanted.model)
    if wanted.created_from is not None:
        query = query.where(_t.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        query = query.where(_t.created_at < wanted.created_before)
    if wanted.text:
        query = query.where(sa.func.strpos(sa.func.lower(_t.prompt), sa.func.lower(wanted.text)) > 0)
    return _tasks(tx, query)


def list_followed(tx: Connection, owner_ids: Collection[OwnerId], made_since: datetime) -> list[Listed]:
    """These owners' tasks that have not ended or were made since then."""
    recent = _t.id >= first_uuid7(int(made_since.timestamp() * 1000))
    query = sa.select(_t.user_id, _t.id, _t.finished_at.is_not(None)).where(_t.user_id.in_(owner_ids))
    rows = tx.execute(query.where(unfinished).union(query.where(recent)))
    return [Listed(OwnerId(owner_id), TaskId(task_id), is_finished) for owner_id, task_id, is_finished in rows]


def list_ended(tx: Connection, owner_id: OwnerId, since: datetime, limit: int) -> list[Task]:
    """Those of the owner's recent tasks that have ended since then, in the order of their ends."""
    recent = sa.select(_t.id).where(_t.user_id == owner_id).order_by(_t.id.desc()).limit(RECENT_TASKS)
    query = (
        sa.select(generation_tasks)
        .where(_t.id.in_(recent), _t.finished_at >= since)
        .order_by(_t.finished_at, _t.id)
        .limit(limit)
    )
    return _tasks(tx, query)


def recent_prompts(tx: Connection, owner_id: OwnerId, beginning: str, limit: int) -> list[str]:
    """Distinct prompts of the owner's recent tasks that begin so (whatever the case), newest first."""
    recent = (
        sa.select(_t.id, _t.prompt)
        .where(_t.user_id == owner_id)
        .order_by(_t.id.desc())
        .limit(RECENT_TASKS)
        .subquery("recent")
    )
    query = (
        sa.select(recent.c.prompt)
        .where(
            sa.func.lower(sa.func.left(recent.c.prompt, len(beginning))) == sa.func.lower(beginning),
            recent.c.prompt != beginning,
        )
        .group_by(recent.c.prompt)
        .order_by(sa.func.max(sa.cast(recent.c.id, sa.Text)).desc())
        .limit(limit)
    )
    return list(tx.execute(query).scalars())


def save_task(tx: Connection, task: Task) -> None:
    """Write a task that this transaction has locked."""
    tx.execute(sa.update(generation_tasks).where(_t.id == task.id).values(_standing(task)))


def lock_older(tx: Connection, versions: Mapping[TaskId, int]) -> list[Task]:
    """The unfinished ones of these tasks whose job version is below the given one, locked, in order of id.

    The order keeps two that lock many from waiting for each other.
    """
    if not versions:
        return []
    told = sa.values(sa.column("id", sa.Uuid), sa.column("version", sa.BigInteger), name="told").data(
        list(versions.items())
    )
    query = (
        sa.select(generation_tasks)
        .join(told, told.c.id == _t.id)
        .where(_t.job_version < told.c.version, unfinished)
        .order_by(_t.id)
        .with_for_update(of=generation_tasks)
    )
    return _tasks(tx, query)


def lock_unsubmitted(tx: Connection, now: datetime, pause: timedelta) -> Task | None:
    """The task of the outbox whose turn it is, locked; None if there is none that nobody else has.

    Between two tries lies the pause, twice as long after each that failed.
    A task whose cancel was asked for stays: the cancel leaves a tombstone, and there is nothing to submit.
    """
    query = (
        sa.select(generation_tasks)
        .where(
            unsubmitted,
            _t.cancel_requested_at.is_(None),
            sa.or_(
                _t.submit_tried_at.is_(None),
                _t.submit_tried_at + _seconds(pause.total_seconds() * sa.func.power(2, _t.submit_failures)) < now,
            ),
        )
        .order_by(_t.submit_tried_at.nulls_first(), _t.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = tx.execute(query).first()
    return _task(row) if row else None


def list_submitted(tx: Connection, after: TaskId | None, limit: int) -> list[Task]:
    """Unfinished tasks that the executor is known to have, in order of id, from the one after `after`."""
    query = sa.select(generation_tasks).where(unfinished, _t.submitted_at.is_not(None)).order_by(_t.id).limit(limit)
    return _tasks(tx, query if after is None else query.where(_t.id > after))


def list_canceling(tx: Connection, after: TaskId | None, limit: int, *, now: datetime, pause: timedelta) -> list[Task]:
    """Unfinished tasks whose cancel is to be told now, in order of id, from the one after `after`.

    After the first that failed lies the pause, after each later one twice as long.
    """
    pauses = pause.total_seconds() * (sa.func.power(2, _t.cancel_failures) - 1)
    query = (
        sa.select(generation_tasks)
        .where(unfinished, _t.cancel_requested_at + _seconds(pauses) <= now)
        .order_by(_t.id)
        .limit(limit)
    )
    return _tasks(tx, query if after is None else query.where(_t.id > after))


def _seconds(count: sa.ColumnElement[Any]) -> sa.ColumnElement[timedelta]:
    return sa.func.make_interval(0, 0, 0, 0, 0, 0, count, type_=sa.Interval)


def _standing(task: Task) -> dict[str, Any]:
    """The columns that change."""
    return {
        "status": task.state,
        "waiting_reason": task.waiting_reason,
        "failure_reason": task.failure and task.failure.reason,
        "failure_message": task.failure and task.failure.message,
        "job_version": task.job_version,
        "submit_tried_at": task.submit_tried_at,
        "submit_failures": task.submit_failures,
        "cancel_failures": task.cancel_failures,
        "submitted_at": task.submitted_at,
        "cancel_requested_at": task.cancel_requested_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "timeline": [[phase.kind, (phase.started_at - task.created_at).total_seconds()] for phase in task.timeline],
    }


def _tasks(tx: Connection, query: sa.Select[Any]) -> list[Task]:
    return [_task(row) for row in tx.execute(query)]


def _task(row: Row[Any]) -> Task:
    return Task(
        id=TaskId(row.id),
        owner_id=OwnerId(row.user_id),
        model=row.model_name,
        spec=Spec(
            prompt=row.prompt,
            negative_prompt=row.negative_prompt,
            width=row.width,
            height=row.height,
            steps=row.steps,
            cfg=row.cfg,
            seed=row.seed,
            count=row._mapping["count"],  # noqa: SLF001 - public in spite of its name; `row.count` is a tuple's method
        ),
        created_at=row.created_at,
        origin=row.origin,
        traceparent=row.traceparent,
        state=State(row.status),
        waiting_reason=row.waiting_reason and WaitingReason(row.waiting_reason),
        failure=row.failure_reason and Failure(FailureReason(row.failure_reason), row.failure_message),
        job_version=row.job_version,
        submit_tried_at=row.submit_tried_at,
        submit_failures=row.submit_failures,
        cancel_failures=row.cancel_failures,
        submitted_at=row.submitted_at,
        cancel_requested_at=row.cancel_requested_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        timeline=tuple(
            Phase(PhaseKind(kind), row.created_at + timedelta(seconds=seconds)) for kind, seconds in row.timeline
        ),
    )
