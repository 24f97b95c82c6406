"""One attempt at a job: from the claim to an end that everybody can see."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from opentelemetry.trace import SpanKind

from services.executor import store
from services.executor.bell import Bell
from services.executor.catalogue import parameters_of
from services.executor.domain import FailureReason, Job, LeaseLost, ModelUnknown, State, failure_of
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import EngineError, EngineUnavailable, RunAbandoned, RunInterrupted, RunLost
from services.executor.engine.folder import ModelFolder
from services.executor.events import Publisher
from services.executor.messages import job_to_proto
from services.executor.scheduling.learning import Learning
from services.executor.scheduling.ledger import Ledger
from services.executor.worker.leases import Hold, LeaseKeeper
from services.executor.worker.metrics import LEASES_LOST, attempt_ended, pictures_painted
from services.executor.worker.narration import Narration
from services.executor.worker.pictures import PictureNotTaken, PictureRefused, PictureStore, PictureUnwanted
from services.executor.worker.registration import Registration
from services.executor.worker.runs import Runs
from services.executor.worker.verdicts import blame, is_engines_fault
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe
from services.runtime.requests import working_for
from services.runtime.tracing import Attributes, failed

log = structlog.get_logger()

RETRY_SECONDS = 0.5

MOST_NOT_TAKEN = 5
"""Answers that say nothing of a picture, before it counts as refused: a fault that passes does so by then, and one that
stays must not occupy a slot for ever.
"""

Event = Callable[[Job], Job]
T = TypeVar("T")


class Painter:
    """Paints claimed jobs on one engine."""

    def __init__(
        self,
        *,
        engine: ComfyUI,
        runs: Runs,
        folder: ModelFolder,
        pictures: PictureStore,
        database: Database,
        ledger: Ledger,
        leases: LeaseKeeper,
        learning: Learning,
        registration: Registration,
        publisher: Publisher,
        bell: Bell,
        max_attempts: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._runs = runs
        self._folder = folder
        self._pictures = pictures
        self._database = database
        self._ledger = ledger
        self._leases = leases
        self._learning = learning
        self._registration = registration
        self._publisher = publisher
        self._bell = bell
        self._max_attempts = max_attempts
        self._clock = clock
        self._narrations: set[Narration] = set()
        self.began = threading.Event()
        """Set whenever a run begins."""

    def ends_at(self) -> float | None:
        """When the engine will probably be free for what is not claimed yet, in monotonic seconds.

        None while that cannot be told: nothing is held, or the last run has not begun.
        """
        ends = [narration.ends_at for narration in list(self._narrations)]
        return None if not ends or None in ends else max(end for end in ends if end is not None)

    def paint(self, job: Job) -> None:
        """Bring a job that was just claimed or adopted to its next state. Does not raise."""
        epoch = job.lease_epoch
        attributes: Attributes = {
            "imagegen.task.id": str(job.id),
            "imagegen.model": job.model,
            "imagegen.lease.epoch": epoch,
        }
        with (
            working_for(job.origin, job.traceparent, "attempt", SpanKind.CONSUMER, attributes, task_id=job.id) as span,
            structlog.contextvars.bound_contextvars(epoch=epoch),
        ):
            try:
                with self._leases.keep(job) as hold:
                    narration = Narration(
                        job,
                        timeline=hold.timeline,
                        registration=self._registration,
                        learning=self._learning,
                        publisher=self._publisher,
                        start=partial(self._start, hold),
                    )
                    ended = self._attempt(hold, narration)
                log.info("attempt ended", state=ended.state, attempts=ended.attempts)
                attempt_ended(job, ended)
                span.set_attribute("imagegen.job.state", ended.state)
                if ended.attempts > job.attempts:
                    failed(span, ended.failure.reason if ended.failure else "attempt_failed")
                self._after(job, ended, narration)
            except LeaseLost:
                log.warning("attempt lost its lease")
                failed(span, "lease_lost")
                LEASES_LOST.labels(job.model).inc()
                self._runs.leave(job)
            except Exception as error:  # noqa: BLE001 - a slot outlives whatever one job does to it
                log.error("attempt left to its lease", **describe(error))  # noqa: TRY400 - the text may hold the prompt
                failed(span, type(error).__name__)
                self._runs.leave(job)

    def discard(self, job: Job) -> None:
        """Delete what a job that ended without success has stored; what is away now leaves it to a later try."""
        try:
            self._pictures.discard(job.id, job.owner_id)
            with self._database.transaction() as tx:
                store.mark_discarded(tx, job.id)
        except DependencyUnavailable as error:
            log.warning("pictures not discarded yet", task_id=str(job.id), error=str(error))

    def discard_what_is_left(self) -> None:
        """Delete what jobs that ended without success have stored, where the first try could not.

        Raises DependencyUnavailable if the database cannot say of which.
        """
        with self._database.transaction() as tx:
            jobs = store.to_discard(tx)
        for job in jobs:
            self.discard(job)

    def _attempt(self, hold: Hold, narration: Narration) -> Job:
        """Raises LeaseLost."""
        self._narrations.add(narration)
        try:
            pictures = self._run(hold, narration)
            narration.end()
            hold.end()
            hold.timeline.store()
            for index, picture in enumerate(pictures):
                self._store(hold, index, picture)
        except (EngineError, PictureRefused, PictureUnwanted) as error:
            narration.end()
            if hold.lost:
                raise LeaseLost from error
            log.warning("attempt failed", kind=getattr(error, "kind", ""), detail=getattr(error, "detail", str(error)))
            return self._write(hold, self._verdict(hold, error))
        except ModelUnknown:  # an operator removed it since
            return self._write(hold, self._failure(hold, FailureReason.REFUSED, 1))
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever broke, the job ends in a reason
            log.error("attempt broke", **describe(error))  # noqa: TRY400 - the text may hold the prompt
            return self._write(hold, self._failure(hold, FailureReason.ENGINE_FAILED, self._max_attempts))
        finally:
            narration.end()
            self._narrations.discard(narration)
        return self._write(hold, lambda job: job.complete(hold.epoch, self._clock()))

    def _verdict(self, hold: Hold, error: Exception) -> Event:
        """What an error makes of the job."""
        match error:
            case PictureUnwanted():
                return lambda job: job.cancel(hold.epoch, self._clock())
            case RunInterrupted() if self._is_cancel_requested(hold):
                return lambda job: job.cancel(hold.epoch, self._clock())
            case RunAbandoned() if not hold.timed_out:  # this process is going down
                return lambda job: job.give_back(hold.epoch, self._clock())
            case EngineUnavailable(kind="unreachable") if hold.job.state is State.PENDING:  # no fault of the job
                self._registration.suspect()
                return lambda job: job.give_back(hold.epoch, self._clock())
            case RunLost():
                self._registration.suspect()
            case EngineUnavailable(kind=kind):
                self._registration.suspect(stalled=kind == "stalled")
        if is_engines_fault(error):
            self._registration.failed(hold.job.id)
        return self._failure(hold, *blame(error, self._max_attempts))

    def _failure(self, hold: Hold, reason: FailureReason, tries: int) -> Event:
        return lambda job: job.fail(hold.epoch, failure_of(reason), tries, self._clock())

    def _run(self, hold: Hold, narration: Narration) -> list[bytes]:
        """Raises ModelUnknown, EngineError, or LeaseLost."""
        job, model = hold.job, self._folder.models.get(hold.job.model)
        if model is None:
            raise ModelUnknown(hold.job.model)
        assert job.lease is not None
        prompt_id = job.lease.prompt_id
        if job.adoptions:
            if self._engine.find_insistently(prompt_id, hold.stop) is not None:
                narration.is_whole = False
                return self._engine.adopt(prompt_id, output_node=model.output_node, on_event=narration, stop=hold.stop)
            if job.state is State.PROCESSING:  # it had begun under another worker, and the engine has forgotten it
                raise RunLost("lost")
        graph = model.graph(parameters_of(model, job.spec), prompt_id)
        return self._engine.run(prompt_id, graph, output_node=model.output_node, on_event=narration, stop=hold.stop)

    def _store(self, hold: Hold, index: int, picture: bytes) -> None:
        """Hand a picture over, however long results is away, but not however often it fails.

        Raises RunAbandoned when the run is told to stop, PictureUnwanted or PictureRefused.
        """
        not_taken = 0
        while True:
            try:
                return self._pictures.store(hold.job, index, picture, self._registration.engine)
            except (DependencyUnavailable, PictureNotTaken) as error:
                log.warning("picture not stored yet", error=str(error))
                not_taken += isinstance(error, PictureNotTaken)
                if not_taken == MOST_NOT_TAKEN:
                    raise PictureRefused from error
                if hold.cancel_requested:
                    raise PictureUnwanted from error
                if hold.stop.wait(RETRY_SECONDS):
                    raise RunAbandoned("abandoned") from error

    def _start(self, hold: Hold) -> None:
        """The engine began. Raises LeaseLost."""
        hold.begin()
        self.began.set()
        hold.job = self._write(hold, lambda job: job.start(hold.epoch, self._clock()))

    def _write(self, hold: Hold, event: Event) -> Job:
        """Apply an event under the lease, and tell it. Raises LeaseLost."""
        return self._insist(hold, partial(self._apply, hold, event))

    def _apply(self, hold: Hold, event: Event) -> Job:
        with self._database.transaction() as tx:
            before = store.get_job(tx, hold.job.id, lock=True)
            if before is None:  # others ended it, and its owner has been erased since
                raise LeaseLost
            job = event(before.note(hold.epoch, hold.timeline.phases))
            self._ledger.save(tx, before, job, self._clock())
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

    def _after(self, claimed: Job, ended: Job, narration: Narration) -> None:
        """What may be done late, or not at all: the end is already committed."""
        self._runs.end(claimed)  # whatever ended the attempt: the engine may paint on
        if ended.discard_pending:
            self.discard(ended)
        if not ended.is_finished:
            self._bell.ring(ended.model)
        if ended.state is State.COMPLETED:
            pictures_painted(ended, narration.seconds)
            self._registration.succeeded()
            self._learning.learn(ended, narration.lesson())
