"""A worker reports itself: that it lives, what its engine is, which models that engine has the files of."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from services.executor import store
from services.executor.catalogue import Models
from services.executor.domain import EngineId, Worker
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import EngineError
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable

log = structlog.get_logger()

REPORT_SECONDS = 2.0
FILES_SECONDS = 10.0
"""How late a model file that was added is noticed."""


class Registration:
    """Reports from a thread of its own; tells the slots what they may claim."""

    def __init__(
        self,
        engine_id: EngineId,
        engine: ComfyUI,
        models: Models,
        database: Database,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine_id = engine_id
        self._engine = engine
        self._models = models
        self._database = database
        self._clock = clock
        self._servable: frozenset[str] = frozenset()
        self._healthy = False
        self._files_read_at = -FILES_SECONDS
        self._suspected = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._report_on, name="registration", daemon=True)

    @property
    def servable(self) -> frozenset[str]:
        """The models that a slot may claim jobs of now: none while the engine is not well."""
        return self._servable if self._healthy else frozenset()

    def start(self) -> None:
        """Report once, then go on in the background."""
        self._report()
        self._thread.start()

    def suspect(self) -> None:
        """A run found the engine away: claim nothing until it has answered again."""
        self._healthy = False
        self._files_read_at = -FILES_SECONDS
        self._suspected.set()

    def stop(self) -> None:
        self._stopping = True
        self._suspected.set()
        self._thread.join(5)

    def _report_on(self) -> None:
        while not self._stopping:
            self._suspected.wait(REPORT_SECONDS)
            self._suspected.clear()
            self._report()

    def _report(self) -> None:
        try:
            healthy, worker = True, self._look()
        except EngineError as error:
            healthy, worker = False, None
            if self._healthy:
                log.warning("engine is not well", kind=error.kind, detail=error.detail)
            self._files_read_at = -FILES_SECONDS
        try:
            with self._database.transaction() as tx:
                if worker is not None:
                    store.save_worker(tx, worker)
                else:
                    store.touch_worker(tx, self._engine_id, self._clock(), healthy=healthy)
        except DependencyUnavailable as error:
            log.warning("worker not reported", error=str(error))
        if healthy and not self._healthy:
            log.info("engine is well", models=sorted(self._servable))
        self._healthy = healthy

    def _look(self) -> Worker | None:
        """The worker as it is now; None if nothing but the time has changed. Raises EngineError."""
        info = self._engine.probe()
        if time.monotonic() - self._files_read_at < FILES_SECONDS:
            return None
        folders = {file.folder for model in self._models.values() for file in model.files}
        files = self._engine.files(folders)
        self._servable = frozenset(name for name, model in self._models.items() if not model.missing(files))
        self._files_read_at = time.monotonic()
        return Worker(
            self._engine_id,
            self._servable,
            info.version,
            info.device,
            info.vram_total,
            healthy=True,
            seen_at=self._clock(),
        )
