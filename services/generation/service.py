"""What people do with tasks. Each transaction is opened here; no call to a neighbour happens inside one."""

import secrets
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from services.generation import store
from services.generation.catalogue import Availability, Model, ModelUnavailable, ModelUnknown
from services.generation.domain import (
    Estimate,
    Filter,
    OwnerId,
    Request,
    RequestIdReused,
    Snapshot,
    Spec,
    StorageFull,
    Task,
    TaskId,
    UserQueueFull,
)
from services.generation.executor import Executor, ExecutorSilent
from services.generation.life import tell_if_ended
from services.generation.storage import Storage
from services.runtime import requests, tracing
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable, TokenRevoked
from services.runtime.ids import uuid7

SEEDS = 2**53
"""Seeds are below this, so that JSON carries them exactly (RFC 8259 §6)."""

CATALOGUE_GOOD_FOR = timedelta(seconds=0.5)
"""A list this young is believed even where it says that nothing is on offer."""

ERASED_AT_ONCE = 10_000
"""Tasks of a deleted account: a second's work for the database, which answers other people meanwhile."""

Value = TypeVar("Value")


class Tasks:
    """The use cases. Thread-safe. `outbox` is set whenever a task was put there."""

    def __init__(
        self,
        database: Database,
        executor: Executor,
        storage: Storage,
        outbox: threading.Event,
        *,
        queued_cap: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._executor = executor
        self._storage = storage
        self._outbox = outbox
        self._queued_cap = queued_cap
        self._clock = clock
        self._refreshed_at: datetime | None = None

    def create(self, owner_id: OwnerId, request: Request, request_id: str) -> tuple[Task, bool]:
        """Accept a task; (task, whether an earlier call with this request id had made it).

        Raises RequestIdReused, StorageFull, UserQueueFull, ModelUnknown, ModelUnavailable or ParameterOutOfRange,
        TokenRevoked if the account has been deleted, and DependencyUnavailable as long as the executor has never told
        which models there are.
        """
        full = self._storage.full(owner_id)
        return self._with_good_list(partial(self._create, owner_id, request, request_id, full))

    def _create(
        self, owner_id: OwnerId, request: Request, request_id: str, full: StorageFull | None
    ) -> tuple[Task, bool]:
        digest = request.digest()
        with self._database.transaction() as tx:
            store.lock_owner(tx, owner_id)
            if request_id and (earlier := store.find_request(tx, owner_id, request_id)):
                task, earlier_digest = earlier
                if earlier_digest != digest:
                    raise RequestIdReused
                return task, True
            if full:
                raise full
            spec = self._accepted(tx, owner_id, request, secrets.randbelow(SEEDS))
            task = Task(
                TaskId(uuid7()),
                owner_id,
                request.model,
                spec,
                self._clock(),
                origin=requests.request_id(),
                traceparent=tracing.traceparent(),
            )
            store.insert_task(tx, task, (request_id, digest) if request_id else None)
        self._outbox.set()
        return task, False

    def estimate(self, owner_id: OwnerId, request: Request) -> tuple[Spec, Estimate]:
        """What `create` would make now, with the seed 0 if none is asked for, and what that would cost.

        Raises as `create` does, SubmitRefused for what would fail at once, and DependencyUnavailable while the
        executor is away.
        """
        if full := self._storage.full(owner_id):
            raise full
        spec = self._with_good_list(partial(self._check, owner_id, request))
        try:
            return spec, self._executor.estimate(owner_id, request.model, spec)
        except ExecutorSilent as error:
            raise DependencyUnavailable("the estimate") from error

    def _check(self, owner_id: OwnerId, request: Request) -> Spec:
        with self._database.transaction() as tx:
            return self._accepted(tx, owner_id, request, 0)

    def _accepted(self, tx: Connection, owner_id: OwnerId, request: Request, random_seed: int) -> Spec:
        """What to paint. Raises why nothing is accepted."""
        if store.is_erased(tx, owner_id):
            raise TokenRevoked
        if store.count_unfinished(tx, owner_id) >= self._queued_cap:
            raise UserQueueFull(self._queued_cap)
        model = store.get_model(tx, request.model)
        if model is None:
            if not store.is_catalogue_known(tx):
                raise DependencyUnavailable("the list of models")
            raise ModelUnknown(request.model)
        return model.spec_for(request, random_seed)

    def _with_good_list(self, work: Callable[[], Value]) -> Value:
        """Nobody is sent away by a list of models that may be a second old."""
        try:
            return work()
        except (ModelUnavailable, DependencyUnavailable):
            if not self._learn_models():
                raise
        return work()

    def erase(self, owner_id: OwnerId) -> bool:
        """Forget a deleted account's tasks and take no more; whether nothing is left. To be repeated until it is so.

        What the executor has of them is erased there.
        """
        with self._database.transaction() as tx:
            store.lock_owner(tx, owner_id)
            store.remember_erased(tx, owner_id, self._clock())
            return store.delete_tasks(tx, owner_id, ERASED_AT_ONCE) < ERASED_AT_ONCE

    def get(self, owner_id: OwnerId, task_id: TaskId) -> Task:
        """The task as it is now. Raises TaskNotFound."""
        with self._database.transaction() as tx:
            task = store.get_task(tx, owner_id, task_id)
        [task] = self._seen_now([task])
        return task

    def page(
        self, owner_id: OwnerId, wanted: Filter, after: TaskId | None, size: int
    ) -> tuple[list[Task], TaskId | None]:
        """(tasks from the newest on, the id after which the next page begins if there is one).

        The page is shorter than it could be by the tasks that are known only now to be in another state.
        """
        with self._database.transaction() as tx:
            tasks = store.list_tasks(tx, owner_id, wanted, after, size + 1)
        following = tasks[size - 1].id if len(tasks) > size else None
        seen = self._seen_now(tasks[:size])
        return [task for task in seen if not wanted.states or task.state in wanted.states], following

    def followed(self, owner_ids: Collection[OwnerId], made_since: datetime) -> list[store.Listed]:
        """What there is to follow of these owners: tasks that have not ended, and those made since then."""
        with self._database.transaction() as tx:
            return store.list_followed(tx, owner_ids, made_since)

    def ended(self, owner_id: OwnerId, since: datetime, limit: int) -> list[Task]:
        """The owner's tasks that have ended since then, in the order of their ends."""
        with self._database.transaction() as tx:
            return store.list_ended(tx, owner_id, since, limit)

    def cancel(self, owner_id: OwnerId, task_id: TaskId) -> Task:
        """Ask a task to stop; the task as it then is. Raises TaskNotFound or TaskFinished."""
        with self._database.transaction() as tx:
            task = store.get_task(tx, owner_id, task_id, lock=True)
            asked = task.request_cancel(self._clock())
            if asked != task:
                store.save_task(tx, asked)
        tell_if_ended(task, asked)
        if asked.is_finished:
            return asked
        try:
            snapshot = self._executor.cancel(asked)
        except ExecutorSilent:
            return asked
        return self.take(owner_id, snapshot)

    def take(self, owner_id: OwnerId, snapshot: Snapshot) -> Task:
        """Apply what the executor told; the task as it then is. Raises TaskNotFound."""
        self.apply([snapshot])
        with self._database.transaction() as tx:
            return store.get_task(tx, owner_id, snapshot.task_id).seen(snapshot)

    def apply(self, snapshots: Collection[Snapshot]) -> dict[TaskId, Task]:
        """Apply what the executor told, in one transaction; the tasks that changed."""
        told = {snapshot.task_id: snapshot for snapshot in snapshots}
        now = self._clock()
        with self._database.transaction() as tx:
            older = store.lock_older(tx, {task_id: snapshot.version for task_id, snapshot in told.items()})
            newer = [task.apply(told[task.id], now) for task in older]
            for task in newer:
                store.save_task(tx, task)
        for before, after in zip(older, newer, strict=True):
            tell_if_ended(before, after)
        return {task.id: task for task in newer}

    def models(self) -> list[Model]:
        """In order of display. Raises DependencyUnavailable as long as the executor has never told of any."""
        listed = self._listed_models()
        if not any(model.availability is Availability.AVAILABLE for model in listed) and self._learn_models():
            listed = self._listed_models()
        if not listed:
            with self._database.transaction() as tx:
                if not store.is_catalogue_known(tx):
                    raise DependencyUnavailable("the list of models")
        return listed

    def refresh_catalogue(self) -> None:
        """Ask the executor which models there are now. Raises ExecutorSilent."""
        told = self._executor.models()
        self._refreshed_at = self._clock()
        with self._database.transaction() as tx:
            store.save_catalogue(tx, told, self._clock())

    def _learn_models(self) -> bool:
        """Whether the executor has just told more than was known; asked at most twice a second, whoever wants it."""
        if self._refreshed_at is not None and self._clock() - self._refreshed_at < CATALOGUE_GOOD_FOR:
            return False
        try:
            self.refresh_catalogue()
        except ExecutorSilent:
            return False
        return True

    def _listed_models(self) -> list[Model]:
        with self._database.transaction() as tx:
            return store.list_models(tx)

    def recent_prompts(self, owner_id: OwnerId, beginning: str, limit: int) -> list[str]:
        """The owner's recent prompts that begin so, newest first, each once."""
        with self._database.transaction() as tx:
            return store.recent_prompts(tx, owner_id, beginning, limit)

    def _seen_now(self, tasks: list[Task]) -> list[Task]:
        """The tasks with what the executor can tell at once about those that have not ended."""
        asked = [task.id for task in tasks if task.submitted_at and not task.is_finished]
        told = self._executor.glance(asked)
        versions = {task.id: task.job_version for task in tasks}
        newer = [snapshot for snapshot in told.values() if snapshot.version > versions[snapshot.task_id]]
        changed = self.apply(newer) if newer else {}
        current = [changed.get(task.id, task) for task in tasks]
        return [task.seen(told[task.id]) if task.id in told else task for task in current]
