"""What an engine has of our jobs' runs: nobody's run goes on there, and nothing of it stays."""

import threading
from uuid import UUID

import structlog

from services.executor import store
from services.executor.domain import Job
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import EngineUnavailable
from services.runtime.database import Database

log = structlog.get_logger()

MOST_LEFT = 100
"""Runs that are kept in mind. An engine that is away is given nothing new, so more come only of one that answers
everything but this; of those the oldest are let go.
"""


class Runs:
    """Interrupts, ends and forgets runs. What the engine does not answer to now is left for a sweep."""

    def __init__(self, engine: ComfyUI, database: Database) -> None:
        self._engine = engine
        self._database = database
        self._left: dict[UUID, Job] = {}
        self._lock = threading.Lock()

    def interrupt(self, job: Job) -> None:
        """Stop the run of a job that is held, if the engine answers: whoever follows it sees its end."""
        try:
            self._engine.cancel(_prompt_of(job))
        except EngineUnavailable as error:
            log.warning("run not interrupted", kind=error.kind)

    def end(self, job: Job) -> None:
        """Stop and forget the run of a job whose lease was given up, for nobody waits for it any more."""
        if not self._is_gone(_prompt_of(job)):
            self.leave(job)

    def leave(self, job: Job) -> None:
        """Leave a run to the next sweeps, which end it once no lease is on it."""
        with self._lock:
            self._left[_prompt_of(job)] = job
            if len(self._left) > MOST_LEFT:
                del self._left[next(iter(self._left))]

    def sweep(self) -> None:
        """End what is left and nobody's. Raises DependencyUnavailable if the database cannot say what is."""
        with self._lock:
            left = dict(self._left)
        for prompt_id, stray in left.items():
            with self._database.transaction() as tx:
                job = store.get_job(tx, stray.id)
            may_be_adopted = job is not None and job.lease is not None and job.lease.prompt_id == prompt_id
            if not may_be_adopted and self._is_gone(prompt_id):
                with self._lock:
                    self._left.pop(prompt_id, None)

    def _is_gone(self, prompt_id: UUID) -> bool:
        """Whether the engine has nothing of it any more. A run that had to be stopped is forgotten the next time."""
        try:
            return not self._engine.cancel(prompt_id) and self._engine.forget(prompt_id)
        except EngineUnavailable as error:
            log.warning("run not ended", prompt_id=str(prompt_id), kind=error.kind)
            return False


def _prompt_of(job: Job) -> UUID:
    assert job.lease is not None
    return job.lease.prompt_id
