"""Keeps tasks and jobs in step, whatever was lost on the way. Any number of replicas may do the same at once.

Events are hints; what BatchGetJobs answers is the truth. Each step can be repeated at any time, and none depends
on another having worked: a crash between two lines leaves something that a later step finds.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

import structlog
from prometheus_client import Counter, Gauge

from services.generation import store
from services.generation.domain import Task, TaskId, TaskNotFound
from services.generation.executor import Executor, ExecutorFailed, ExecutorSilent, SubmitRefused
from services.generation.life import tell_if_ended
from services.generation.service import Tasks
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe
from services.runtime.requests import working_for

log = structlog.get_logger()

SUBMITS = Counter(
    "imagegen_generation_submits_total", "Tries to submit a task, by what the executor said.", ["outcome"]
)
for _outcome in ("accepted", "refused", "failed", "unanswered"):
    SUBMITS.labels(_outcome)  # a rate sees no counter come into being
EXECUTOR_REACHABLE = Gauge("imagegen_generation_executor_reachable", "1 while the executor can be reached, else 0.")

SUBMIT_RETRY = timedelta(seconds=3)
"""Longer than a submit may take, so that two replicas do not send the same one at the same time."""

HOPELESS = "The picture could not be begun: the service that paints failed at it again and again. Try again later."

OUTBOX_SECONDS = 1.0
"""How long a task waits that a crash left in the outbox, or whose submit got no answer, beyond its retry."""

FOLLOW_SECONDS = 0.5
"""Between two tries to follow: short, because live changes are late meanwhile; an executor restarts in seconds."""

RECONCILE_SECONDS = 5.0
"""How late the loss of an event is noticed. One call per 500 unfinished tasks."""

CANCEL_SECONDS = 2.0
"""How late a cancel reaches an executor that was away when a person asked for it."""

CANCEL_RETRY = timedelta(seconds=3)
"""After the first cancel that failed; the pause doubles with each."""

CATALOGUE_SECONDS = 2.0
"""How late a model's new availability is known here; also how soon an executor's return is noticed."""

PAGE = 500
"""The most ids that BatchGetJobs takes."""

STOP_SECONDS = 5.0


class Reconciler:
    """Steps that a person's call must not wait for, and the threads that take them."""

    def __init__(
        self,
        database: Database,
        executor: Executor,
        tasks: Tasks,
        outbox: threading.Event,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._executor = executor
        self._tasks = tasks
        self._outbox = outbox
        self._clock = clock
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take every step again and again, each in a thread of its own."""
        for step, seconds, wake in (
            (self.submit_waiting, OUTBOX_SECONDS, self._outbox),
            (self.follow, FOLLOW_SECONDS, self._stopping),
            (self.reconcile, RECONCILE_SECONDS, self._stopping),
            (self.repeat_cancels, CANCEL_SECONDS, self._stopping),
            (self._tasks.refresh_catalogue, CATALOGUE_SECONDS, self._stopping),
        ):
            thread = threading.Thread(target=self._repeat, args=(step, seconds, wake), name=step.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Closes the executor's channel, so that no step waits for it."""
        self._stopping.set()
        self._outbox.set()
        self._executor.close()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def submit_waiting(self) -> None:
        """Empty the outbox. An executor that is away is not tried: what it cannot have heard of can end here."""
        self._outbox.clear()
        EXECUTOR_REACHABLE.set(self._executor.is_reachable)
        while self._executor.is_reachable and not self._stopping.is_set():
            task = self._take_from_outbox()
            if task is None:
                return
            with working_for(task.origin, task.traceparent, "submit", task_id=task.id):
                self._submit(task)

    def follow(self) -> None:
        """Apply jobs as they change, until the stream breaks. Raises ExecutorSilent then."""
        with self._executor.transitions() as snapshots:
            self.reconcile()  # what changed before the stream began
            for snapshot in snapshots:
                self._tasks.apply([snapshot])

    def reconcile(self) -> None:
        """Ask about every unfinished task. Raises ExecutorSilent."""
        for page in self._pages(store.list_submitted):
            told = self._executor.jobs([task.id for task in page])
            for task in page:
                # The row was read before the executor was asked, and versions only grow.
                if task.id not in told or told[task.id].version < task.job_version:
                    self._lose_job(task)
            self._tasks.apply(told.values())

    def repeat_cancels(self) -> None:
        """Tell the executor again what is to stop. Raises ExecutorSilent."""
        for page in self._pages(partial(store.list_canceling, now=self._clock(), pause=CANCEL_RETRY)):
            for task in page:
                with working_for(task.origin, task.traceparent, "cancel", task_id=task.id):
                    self._cancel(task)

    def _submit(self, task: Task) -> None:
        try:
            snapshot = self._executor.submit(task)
        except SubmitRefused as refusal:
            SUBMITS.labels("refused").inc()
            self._refuse(task, str(refusal))
        except ExecutorFailed as error:
            SUBMITS.labels("failed").inc()
            log.warning("submit failed", code=str(error), failures=task.submit_failures + 1)
            self._count_failure(task)
        except ExecutorSilent as error:
            SUBMITS.labels("unanswered").inc()
            log.warning("submit not answered", code=str(error))
        else:
            SUBMITS.labels("accepted").inc()
            self._tasks.apply([snapshot])

    def _cancel(self, task: Task) -> None:
        """Raises ExecutorSilent."""
        try:
            snapshot = self._executor.cancel(task)
        except ExecutorFailed as error:
            log.warning("cancel failed", code=str(error))
            self._count_failed_cancel(task)
        else:
            self._tasks.apply([snapshot])

    def _take_from_outbox(self) -> Task | None:
        """The next task to submit, with the try noted before it is made."""
        now = self._clock()
        with self._database.transaction() as tx:
            task = store.lock_unsubmitted(tx, now, SUBMIT_RETRY)
            if task is None:
                return None
            tried = task.try_submit(now)
            store.save_task(tx, tried)
            return tried

    def _count_failure(self, task: Task) -> None:
        counted = self._change(task, lambda current: current.fail_submit() if current.submitted_at is None else current)
        if counted and counted.submitted_at is None and counted.is_hopeless:
            self._give_up(counted)

    def _count_failed_cancel(self, task: Task) -> None:
        def count(current: Task) -> Task:
            is_first = current.cancel_failures == task.cancel_failures  # no other replica has failed at the same time
            return current.fail_cancel(self._clock()) if is_first else current

        self._change(task, count)

    def _give_up(self, task: Task) -> None:
        """End a task that cannot be submitted, unless the executor has its job after all."""
        try:
            told = self._executor.jobs([task.id])
            if task.id not in told:
                self._executor.cancel(task)  # leaves a tombstone: no submit that is still under way will paint it
        except ExecutorFailed:
            told = {}  # it fails at everything: an end that may turn out wrong is better than none
        except ExecutorSilent:
            return  # absent by now: the next try will tell
        if told:
            self._tasks.apply(told.values())
        else:
            self._refuse(task, HOPELESS)

    def _refuse(self, task: Task, message: str) -> None:
        now = self._clock()
        self._change(task, lambda current: current.refuse(message, now) if current.submitted_at is None else current)
        log.info("submit refused")

    def _lose_job(self, task: Task) -> None:
        """Back into the outbox, unless somebody else has learnt more since the task was read."""
        if self._change(task, lambda current: current.lose_job() if current == task else current) == task.lose_job():
            with working_for(task.origin, task.traceparent, "job lost", task_id=task.id):
                log.warning("the executor lost a job")
        self._outbox.set()

    def _change(self, task: Task, event: Callable[[Task], Task]) -> Task | None:
        """What happened to the task, as it now stands; what it then is, or None if it has been erased meanwhile."""
        try:
            with self._database.transaction() as tx:
                current = store.get_task(tx, task.owner_id, task.id, lock=True)
                changed = event(current)
                if changed != current:
                    store.save_task(tx, changed)
        except TaskNotFound:
            return None
        tell_if_ended(current, changed)
        return changed

    def _pages(self, read: Callable[..., list[Task]]) -> Iterator[list[Task]]:
        after: TaskId | None = None
        while True:
            with self._database.transaction() as tx:
                page = read(tx, after, PAGE)
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1].id

    def _repeat(self, step: Callable[[], None], seconds: float, wake: threading.Event) -> None:
        """Take the step for ever: whatever it raises, the next one may work."""
        while not self._stopping.is_set():
            try:
                step()
            except ExecutorSilent:
                pass  # the executor's client has logged it
            except DependencyUnavailable as error:
                log.warning("step not done", step=step.__name__, error=str(error))
            except Exception as error:  # noqa: BLE001 - the loop outlives any error of a step
                if self._stopping.is_set():  # calls on the closed channel
                    return
                log.error("step failed", step=step.__name__, **describe(error))  # noqa: TRY400 - the text may quote a prompt
            wake.wait(seconds)
