"""One attempt at a job: from the claim to an end that everybody can see."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog

from services.executor import store
from services.executor.bell import Bell
from services.executor.catalogue import Models, parameters_of
from services.executor.domain import Failure, FailureReason, Job, LeaseLost, State
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import (
    EngineError,
    EngineUnavailable,
    RunAbandoned,
    RunFailed,
    RunInterrupted,
    RunLost,
    RunRefused,
)
from services.executor.engine.events import Preview, Progress, RunEvent, Started
from services.executor.events import Publisher
from services.executor.leases import Hold, LeaseKeeper
from services.executor.messages import job_to_proto
from services.executor.pictures import PictureRefused, PictureStore, PictureUnwanted
from services.executor.registration import Registration
from services.runtime.calls import continuing
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe

log = structlog.get_logger()

RETRY_SECONDS = 0.5
EVENTS_SECONDS = 0.2
"""At most five progress events and five previews a second and job."""

OUT_OF_MEMORY_TRIES = 2
"""ComfyUI unloads everything when memory runs out, so a second try often succeeds and a third does not."""

FAILURES = {
    FailureReason.ENGINE_REFUSED: "The engine did not accept this request.",
    FailureReason.ENGINE_FAILED: "The engine failed while painting.",
    FailureReason.OUT_OF_MEMORY: "The GPU ran out of memory. A smaller or a single picture may fit.",
    FailureReason.ENGINE_LOST: "The GPU that was painting this picture was lost.",
    FailureReason.RESULT_REFUSED: "What the engine painted was not a sound picture.",
    FailureReason.TIMED_OUT: "Painting took longer than allowed.",
}

Event = Callable[[Job], Job]
T = TypeVar("T")


class Painter:
    """Paints claimed jobs on one engine."""

    def __init__(
        self,
        *,
        engine: ComfyUI,
        models: Models,
        pictures: PictureStore,
        database: Database,
        leases: LeaseKeeper,
        registration: Registration,
        publisher: Publisher,
        bell: Bell,
        max_attempts: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._models = models
        self._pictures = pictures
        self._database = database
        self._leases = leases
        self._registration = registration
        self._publisher = publisher
        self._bell = bell
        self._max_attempts = max_attempts
        self._clock = clock

    def paint(self, job: Job) -> None:
        """Bring a job that was just claimed or adopted to its next state. Does not raise."""
        epoch = job.lease_epoch
        with continuing(job.origin), structlog.contextvars.bound_contextvars(job_id=str(job.id), epoch=epoch):
            try:
                with self._leases.keep(job) as hold:
                    ended = self._attempt(hold)
                log.info("attempt ended", state=ended.state, attempts=ended.attempts)
                self._after(job, ended)
            except LeaseLost:
                log.warning("attempt lost its lease")
            except Exception as error:  # noqa: BLE001 - a slot outlives whatever one job does to it
                log.error("attempt left to its lease", **describe(error))  # noqa: TRY400 - the text may hold the prompt

    def discard(self, job: Job) -> None:
        """Delete what a job that ended without success has stored. Raises DependencyUnavailable."""
        self._pictures.discard(job.id, job.owner_id)
        with self._database.transaction() as tx:
            store.discarded(tx, job.id)

    def _attempt(self, hold: Hold) -> Job:
        """Raises LeaseLost."""
        try:
            for index, picture in enumerate(self._run(hold)):
                self._store(hold, index, picture)
        except (EngineError, PictureRefused, PictureUnwanted) as error:
            if hold.lost:
                raise LeaseLost from error
            log.warning("attempt failed", kind=getattr(error, "kind", ""), detail=getattr(error, "detail", str(error)))
            return self._write(hold, self._verdict(hold, error))
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever broke, the job ends in a reason
            log.error("attempt broke", **describe(error))  # noqa: TRY400 - the text may hold the prompt
            return self._write(hold, self._failure(hold, FailureReason.ENGINE_FAILED, self._max_attempts))
        return self._write(hold, lambda job: job.complete(hold.epoch, self._clock()))

    def _verdict(self, hold: Hold, error: Exception) -> Event:
        """What an error makes of the job."""
        match error:
            case RunInterrupted() | PictureUnwanted() if self._is_cancel_requested(hold):
                return lambda job: job.cancel(hold.epoch, self._clock())
            case RunAbandoned() if not hold.timed_out:  # this process is going down
                self.interrupt(hold.job)
                return lambda job: job.give_back(hold.epoch, self._clock())
            case EngineUnavailable(kind="unreachable"):  # nothing was sent: no fault of the job
                self._registration.suspect()
                return lambda job: job.give_back(hold.epoch, self._clock())
            case RunLost():
                self._registration.suspect()
            case EngineUnavailable():  # it may come back with the run that nobody waits for any more
                self._registration.suspect()
                self.interrupt(hold.job)
            case RunAbandoned():
                self.interrupt(hold.job)
        return self._failure(hold, *_blame(error, self._max_attempts))

    def _failure(self, hold: Hold, reason: FailureReason, tries: int) -> Event:
        return lambda job: job.fail(hold.epoch, Failure(reason, FAILURES[reason]), tries, self._clock())

    def _run(self, hold: Hold) -> list[bytes]:
        job, model = hold.job, self._models[hold.job.model]
        assert job.lease is not None
        prompt_id = job.lease.prompt_id
        on_event = _Narration(self, hold)
        if job.lease_epoch > 1:
            if self._engine.find(prompt_id) is not None:
                return self._engine.adopt(prompt_id, output_node=model.output_node, on_event=on_event, stop=hold.stop)
            if job.state is State.PROCESSING:  # it had begun under another worker, and the engine has forgotten it
                raise RunLost("lost")
        graph = model.graph(parameters_of(model, job.spec), prompt_id)
        return self._engine.run(prompt_id, graph, output_node=model.output_node, on_event=on_event, stop=hold.stop)

    def _store(self, hold: Hold, index: int, picture: bytes) -> None:
        """Hand a picture over, however long results is away. Raises RunAbandoned when the run is told to stop."""
        while True:
            try:
                return self._pictures.store(hold.job, index, picture)
            except DependencyUnavailable as error:
                log.warning("picture not stored yet", error=str(error))
                if hold.stop.wait(RETRY_SECONDS):
                    raise RunAbandoned("abandoned") from error

    def started(self, hold: Hold) -> None:
        """The engine began. Raises LeaseLost."""
        self._write(hold, lambda job: job.start(hold.epoch, self._clock()))

    def progressed(self, hold: Hold, event: Progress | Preview) -> None:
        match event:
            case Progress(step=step, steps=steps):
                self._publisher.progress(hold.job.id, hold.epoch, step, steps)
            case Preview(mime=mime, data=data):
                self._publisher.preview(hold.job.id, hold.epoch, mime, data)

    def interrupt(self, job: Job) -> None:
        """Stop the job's run, if the engine still has it and answers."""
        assert job.lease is not None
        try:
            self._engine.cancel(job.lease.prompt_id)
        except EngineUnavailable as error:
            log.warning("run not interrupted", kind=error.kind)

    def _write(self, hold: Hold, event: Event) -> Job:
        """Apply an event under the lease, and tell it. Raises LeaseLost."""
        return self._insist(hold, partial(self._apply, hold, event))

    def _apply(self, hold: Hold, event: Event) -> Job:
        with self._database.transaction() as tx:
            before = store.get_job(tx, hold.job.id, lock=True)
            assert before is not None, "a job is never deleted"
            job = event(before)
            store.save_job(tx, job)
            if job.lease is None:
                began = before.started_at
                used = (self._clock() - began).total_seconds() if began else 0.0
                store.save_account(tx, store.lock_account(tx, job.owner_id).settle(job.cost, used))
        if job.version != before.version:
            self._publisher.status(job_to_proto(job), hold.epoch)
        return job

    def _insist(self, hold: Hold, action: Callable[[], T]) -> T:
        """Repeat until what it needs is there again, for as long as the lease can be kept."""
        while True:
            try:
                return action()
            except DependencyUnavailable as error:
                if hold.lost or time.monotonic() >= hold.valid_until:
                    raise LeaseLost from error
                log.warning("waiting", error=str(error))
                time.sleep(RETRY_SECONDS)

    def _is_cancel_requested(self, hold: Hold) -> bool:
        return hold.cancel_requested or self._insist(hold, partial(self._read_cancel, hold))

    def _read_cancel(self, hold: Hold) -> bool:
        with self._database.transaction() as tx:
            job = store.get_job(tx, hold.job.id)
        return job is not None and job.cancel_requested

    def _after(self, claimed: Job, ended: Job) -> None:
        """What may be done late, or not at all: the end is already committed."""
        assert claimed.lease is not None
        if ended.discard_pending:
            try:
                self.discard(ended)
            except DependencyUnavailable as error:
                log.warning("pictures not discarded yet", error=str(error))
        if not ended.is_finished:
            self._bell.ring(ended.model)
        self._engine.forget(claimed.lease.prompt_id)


def _blame(error: Exception, max_attempts: int) -> tuple[FailureReason, int]:
    """The reason that an error gives a job, and how many failures end it."""
    match error:
        case RunRefused():
            return FailureReason.ENGINE_REFUSED, 1
        case RunFailed(kind="out_of_memory"):
            return FailureReason.OUT_OF_MEMORY, min(OUT_OF_MEMORY_TRIES, max_attempts)
        case RunFailed():
            return FailureReason.ENGINE_FAILED, max_attempts if error.retryable else 1
        case PictureRefused():
            return FailureReason.RESULT_REFUSED, max_attempts
        case RunAbandoned():
            return FailureReason.TIMED_OUT, 1
    return FailureReason.ENGINE_LOST, max_attempts


class _Narration:
    """Tells a run's events, not more often than anybody can see."""

    def __init__(self, painter: Painter, hold: Hold) -> None:
        self._painter = painter
        self._hold = hold
        self._told_at: dict[type[RunEvent], float] = {}

    def __call__(self, event: RunEvent) -> None:
        match event:
            case Started():
                self._painter.started(self._hold)
            case Progress() | Preview():
                now = time.monotonic()
                is_last = isinstance(event, Progress) and event.step == event.steps
                if is_last or now - self._told_at.get(type(event), 0.0) >= EVENTS_SECONDS:
                    self._told_at[type(event)] = now
                    self._painter.progressed(self._hold, event)
