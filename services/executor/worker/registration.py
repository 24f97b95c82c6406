"""A worker reports itself: that it lives, what its engine is, what it can paint, and what keeps it from painting."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from services.executor import store
from services.executor.domain import EngineId, JobId
from services.executor.engine.api import EngineInfo
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import EngineError, EngineTooOld
from services.executor.engine.folder import ModelFolder
from services.executor.worker.health import Health
from services.executor.worker.metrics import ENGINE_UP
from services.executor.workers import Worker
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe

log = structlog.get_logger()

REPORT_SECONDS = 2.0
FILES_SECONDS = 10.0
"""How late a model file that was added to the engine is noticed."""

MAX_NAME = 256
"""Of an engine, in characters, as results takes it."""

_STALLED = "The engine answers but paints no longer; its process must be restarted."
_LEAVING = "It is stopping."
_QUARANTINED = "Its runs failed again and again."


class Registration:
    """Reports from a thread of its own; tells the slots what they may claim."""

    def __init__(
        self,
        engine_id: EngineId,
        engine: ComfyUI,
        folder: ModelFolder,
        database: Database,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine_id = engine_id
        self._engine = engine
        self._folder = folder
        self._database = database
        self._clock = clock
        self._models: frozenset[str] = frozenset()
        self._missing: dict[str, tuple[str, ...]] = {}
        self._examined: object = None
        self._examined_at = 0.0
        self._info = EngineInfo("", "", 0, 0)
        self._problem = "It has not answered yet."
        self._connections = 0
        self._loaded_model = ""
        self._is_loading = False
        self._is_stalled = False
        self._drained = False
        self._is_leaving = False
        self._health = Health()
        self._health_lock = threading.Lock()
        self._news = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._report_on, name="registration", daemon=True)

    @property
    def models(self) -> frozenset[str]:
        """The models that the engine has every file of, as far as is known."""
        return self._models

    @property
    def engine(self) -> str:
        """ComfyUI with its version and device; "" until it has first answered."""
        return f"ComfyUI {self._info.version}, {self._info.device}"[:MAX_NAME] if self._info.version else ""

    @property
    def loaded_model(self) -> str:
        """The model of the engine's last run; "" if that is not known."""
        return self._loaded_model

    @property
    def is_stalled(self) -> bool:
        """Whether the engine's worker thread is dead although its HTTP answers (docs/comfyui-protocol.md §7.1)."""
        return self._is_stalled

    def claimable(self, held: int) -> frozenset[str]:
        """The models that a worker which holds so many jobs may claim jobs of now."""
        may_take = not self._problem and not self._drained and self._health.may_take(held, self._clock())
        return self._models if may_take else frozenset()

    def start(self) -> None:
        """Report once, then go on in the background."""
        self._remember()
        self._report()
        self._thread.start()

    def running(self, model: str) -> None:
        """A run of the model began: it is the one in the engine's memory from now on."""
        if model != self._loaded_model:
            self._loaded_model = model
            self._news.set()

    def loading(self, is_loading: bool) -> None:
        """The engine reads a model's files, or does so no longer."""
        if is_loading != self._is_loading:
            self._is_loading = is_loading
            self._news.set()

    def suspect(self, *, stalled: bool = False) -> None:
        """A run found the engine away, or dead though it answers: claim nothing until it is well again."""
        self._problem = _STALLED if stalled else "A run lost it."
        self._is_stalled |= stalled
        self._news.set()

    def succeeded(self) -> None:
        """A run ended well."""
        with self._health_lock:
            self._health = self._health.succeed()

    def failed(self, job_id: JobId) -> None:
        """A run failed in a way that may be the engine's fault."""
        with self._health_lock:
            self._health = self._health.fail(job_id, self._clock())
        if self._health.is_quarantined(self._clock()):
            log.warning("engine is in quarantine", until=str(self._health.until))
            self._news.set()

    def leave(self) -> None:
        """Nothing more is claimed, though jobs may be in hand: others must leave none to this worker."""
        self._is_leaving = True
        self._news.set()

    def stop(self) -> None:
        self._stopping = True
        self._news.set()
        self._thread.join(5)

    def _report_on(self) -> None:
        while not self._stopping:
            self._news.wait(REPORT_SECONDS)
            self._news.clear()
            try:
                self._report()
            except Exception as error:  # noqa: BLE001 - a worker that reports no more counts as away for ever
                log.error("worker not reported", **describe(error))  # noqa: TRY400 - as everywhere

    def _remember(self) -> None:
        """Go on from this engine's last report: both may be starting, and meanwhile its models are not gone."""
        try:
            with self._database.transaction() as tx:
                workers = store.list_workers(tx, self._clock())
        except DependencyUnavailable as error:
            log.warning("last report not read", error=str(error))
            return
        for worker in workers:
            if worker.engine_id == self._engine_id:
                self._models, self._missing = worker.models, dict(worker.missing)

    def _report(self) -> None:
        try:
            problem = self._look()
        except EngineTooOld as error:
            problem = error.detail
        except EngineError as error:
            problem = f"The engine does not answer as ComfyUI does ({error.kind})."
        if problem != self._problem:
            if problem:
                log.warning("engine is not well", problem=problem)
            else:
                log.info("engine is well", models=sorted(self._models))
        self._problem = problem
        ENGINE_UP.set(not problem)
        try:
            with self._database.transaction() as tx:
                orders = store.save_worker(tx, self._worker())
        except DependencyUnavailable as error:
            log.warning("worker not reported", error=str(error))
            return
        self._drained = orders.drained
        with self._health_lock:
            self._health = self._health.resume(orders.resumed_at)

    def _worker(self) -> Worker:
        is_quarantined = self._health.is_quarantined(self._clock())
        problem = _LEAVING if self._is_leaving else self._problem
        return Worker(
            engine_id=self._engine_id,
            models=self._models,
            seen_at=self._clock(),
            missing=self._missing,
            loaded_model=self._loaded_model,
            is_loading=self._is_loading,
            engine_version=self._info.version,
            device=self._info.device,
            vram_total=self._info.vram_total,
            vram_free=self._info.vram_free,
            is_well=not problem,
            problem=problem or (_QUARANTINED if is_quarantined else ""),
            quarantined_until=self._health.until if is_quarantined else None,
        )

    def _look(self) -> str:
        """What is wrong with the engine, in a sentence; "" if it is well. Raises EngineError."""
        self._info = self._engine.probe()
        if self._is_stalled:
            if self._engine.queue_length() > 0:  # a new process has an empty queue
                return _STALLED
            self._is_stalled = False
        if self._engine.connections != self._connections:  # it may have been restarted
            self._connections = self._engine.connections
            self._loaded_model, self._is_loading = "", False
            self._examined = None
        models = self._folder.models
        if models is not self._examined or time.monotonic() - self._examined_at >= FILES_SECONDS:
            files = self._engine.files({file.folder for model in models.values() for file in model.files})
            lacking = {name: model.missing(files) for name, model in models.items()}
            self._missing = {
                name: tuple(f"{file.folder}/{file.file}" for file in absent)
                for name, absent in lacking.items()
                if absent
            }
            self._models = frozenset(name for name, absent in lacking.items() if not absent)
            self._examined, self._examined_at = models, time.monotonic()
        return ""
