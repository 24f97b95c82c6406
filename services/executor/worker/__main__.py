"""A worker: one process, one ComfyUI. `python -m services.executor.worker`."""

import os
import signal
import threading
from datetime import UTC, datetime, timedelta

import structlog
from celery import signals
from celery.worker import state as celery_state

from services.executor.bell import Bell, celery_app
from services.executor.domain import EngineId
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.folder import open_models
from services.executor.events import Publisher
from services.executor.expiry import EXPIRY_SECONDS, Expiry
from services.executor.scheduling.claims import Claims
from services.executor.scheduling.learning import Learning
from services.executor.scheduling.ledger import Ledger
from services.executor.settings import QueueSettings, WorkerSettings
from services.executor.sweeping import SWEEP_SECONDS, repeat
from services.executor.worker.attempt import Painter
from services.executor.worker.hearing import Hearing
from services.executor.worker.leases import LeaseKeeper
from services.executor.worker.liveness import Liveness
from services.executor.worker.metrics import introduce
from services.executor.worker.pictures import PictureStore
from services.executor.worker.registration import Registration
from services.executor.worker.runs import Runs
from services.executor.worker.slots import Slots
from services.runtime.channels import Peer, channel
from services.runtime.database import Database
from services.runtime.process import start_process
from services.runtime.settings import service_identity

log = structlog.get_logger()


def stop_on_sigterm(slots: Slots, registration: Registration, keeper: LeaseKeeper, grace_seconds: float) -> None:
    """Claim nothing more then, and give back what has not ended within the grace."""

    def stop_claiming(**_: object) -> None:
        log.info("stopping", grace_seconds=grace_seconds)
        slots.stop_claiming()
        registration.leave()
        timer = threading.Timer(grace_seconds, keeper.abandon_all)
        timer.daemon = True
        timer.start()

    def stop_early(*_: object) -> None:
        """Until Celery has a handler of its own, and jobs may be held before: it stops as soon as it has started."""
        stop_claiming()
        celery_state.should_stop = os.EX_OK

    signal.signal(signal.SIGTERM, stop_early)
    signals.worker_shutting_down.connect(stop_claiming, weak=False)


def main() -> None:
    start_process("worker")
    settings, queue = WorkerSettings(), QueueSettings()
    engine_id = EngineId(settings.engine_id)
    if settings.ready_file:
        settings.ready_file.unlink(missing_ok=True)  # of a worker before this one, in the same folder

    def clock() -> datetime:
        return datetime.now(UTC)

    database = Database(settings.database_url)
    folder = open_models(settings.models_dir)
    introduce(folder.models)
    engine = ComfyUI(settings.comfyui_url, output_directory=settings.comfyui_output_dir, stall=settings.stall_seconds)
    engine.start()
    registration = Registration(engine_id, engine, folder, database, clock)
    registration.start()
    app = celery_app(settings.redis_url)
    bell = Bell(app)
    publisher = Publisher(settings.redis_url)
    learning = Learning(database, folder)
    ledger = Ledger(queue.running_cap)
    runs = Runs(engine, database)
    keeper = LeaseKeeper(database, queue.lease, timedelta(seconds=settings.run_limit_seconds), clock, runs.interrupt)
    painter = Painter(
        engine=engine,
        runs=runs,
        folder=folder,
        pictures=PictureStore(channel(settings.results_address), Peer(service_identity("worker"), "results")),
        database=database,
        ledger=ledger,
        leases=keeper,
        learning=learning,
        registration=registration,
        publisher=publisher,
        bell=bell,
        max_attempts=queue.max_attempts,
        clock=clock,
    )
    claims = Claims(
        engine_id, database=database, ledger=ledger, estimates=learning.estimates, lease=queue.lease, clock=clock
    )
    slots = Slots(claims, registration, painter, bell)
    stop_on_sigterm(slots, registration, keeper, settings.stop_grace_seconds)
    keeper.start()
    slots.start()
    expiry = Expiry(database=database, folder=folder, ledger=ledger, publisher=publisher, bell=bell, clock=clock)
    stopping = threading.Event()
    repeat("expiry", lambda: expiry.look(queue.grace, queue.max_attempts), EXPIRY_SECONDS, stopping)
    repeat("runs", runs.sweep, SWEEP_SECONDS, stopping)
    repeat("discards", painter.discard_what_is_left, SWEEP_SECONDS, stopping)
    liveness = None
    if settings.liveness_listen:
        liveness = Liveness(
            settings.liveness_listen,
            {"/engine": lambda: not registration.is_stalled, "/worker": lambda: keeper.is_alive and slots.is_alive},
        )
    if settings.ready_file:
        settings.ready_file.touch()
    Hearing(app, engine_id, slots, lambda: registration.models).run()
    slots.stop_claiming()
    slots.join()
    stopping.set()
    keeper.stop()
    registration.stop()
    if liveness is not None:
        liveness.close()
    bell.close()
    publisher.close()
    engine.close()
    database.close()


if __name__ == "__main__":
    main()
