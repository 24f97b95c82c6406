"""Hearing bells: the Celery worker in this process, which listens for the models that its engine can paint now."""

import warnings
from collections.abc import Callable
from typing import Any

from celery import Celery, signals
from celery.exceptions import SecurityWarning

from services.executor.bell import TASK, bell_of_engine, bell_of_model
from services.executor.domain import EngineId
from services.executor.worker.slots import SLOTS, Slots

LOOK_SECONDS = 1.0
"""How late it listens for a model that its engine has come to have; until then its jobs are found by looking."""


class Hearing:
    """Besides its models' bells a worker hears one of its own, by which others call it when it is idle."""

    def __init__(self, app: Celery, engine_id: EngineId, slots: Slots, models: Callable[[], frozenset[str]]) -> None:
        self._app = app
        self._engine_id = engine_id
        self._models = models
        self._heard: frozenset[str] = frozenset()
        app.task(slots.work, name=TASK)

    def run(self) -> None:
        """Hear bells until the process is told to stop."""
        self._app.conf.task_queues = [bell_of_engine(self._engine_id)]
        signals.worker_ready.connect(self._ready, weak=False)
        warnings.filterwarnings("ignore", category=SecurityWarning)  # messages carry nothing that could run
        self._app.Worker(
            pool="threads",
            concurrency=SLOTS,
            hostname=f"worker@{self._engine_id}",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="INFO",
            quiet=True,
        ).start()

    def _ready(self, *, sender: Any, **_: object) -> None:
        """Once, when there is a first connection; Celery keeps what is added to it over later ones."""
        self._listen(sender)
        sender.timer.call_repeatedly(LOOK_SECONDS, self._listen, (sender,))

    def _listen(self, consumer: Any) -> None:
        models = self._models()
        for model in models - self._heard:
            bell = bell_of_model(model)
            self._app.amqp.queues.add(bell)
            consumer.add_task_queue(bell.name)
        for model in self._heard - models:
            consumer.cancel_task_queue(bell_of_model(model).name)
        self._heard = models
