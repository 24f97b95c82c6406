"""The bell: Celery messages that wake a slot of a worker.

A message carries no job. It only says that there may be work for a model, on a queue of that model's own or, to one
worker, on that worker's; the slot that takes it claims from PostgreSQL. A bell that is lost, or rung in vain, costs
nothing but time: every slot also looks by itself.
"""

import queue
import threading

import structlog
from celery import Celery
from kombu.entity import Queue

from services.executor.domain import EngineId

log = structlog.get_logger()

TASK = "imagegen.paint"
EXPIRES_SECONDS = 60
"""A bell that nobody took by then says nothing new: the slots have looked thirty times since."""


def bell_of_model(model: str) -> Queue:
    """A model's bell: every worker that can paint it listens there."""
    return _bell(f"imagegen.paint.{model}")


def bell_of_engine(engine_id: EngineId) -> Queue:
    """One worker's own bell."""
    return _bell(f"imagegen.worker.{engine_id}")


def _bell(name: str) -> Queue:
    # The default exchange routes by the queue's name alone, so there is no binding that a flushed Redis could lose.
    return Queue(name, exchange="", routing_key=name)  # type: ignore[no-untyped-call] # kombu has no types


def celery_app(redis_url: str) -> Celery:
    """Celery with the settings that both ends share. Socket time-outs are bounded, so a frozen Redis is noticed."""
    app = Celery("imagegen", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "max_retries": 1,
        },
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


class Bell:
    """Rings from a thread of its own, so that nobody waits for Redis; without Redis it stays silent."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._rings: queue.Queue[tuple[Queue, str, bool] | None] = queue.Queue(maxsize=1000)
        self._thread = threading.Thread(target=self._ring_on, name="bell", daemon=True)
        self._thread.start()

    def ring(self, model: str) -> None:
        """There may be work for this model."""
        self._put(bell_of_model(model), model, is_call=False)

    def call(self, engine_id: EngineId, model: str) -> None:
        """There may be work for this model, and this worker seems to be idle."""
        self._put(bell_of_engine(engine_id), model, is_call=True)

    def close(self) -> None:
        self._rings.put(None)
        self._thread.join(5)

    def _put(self, bell: Queue, model: str, *, is_call: bool) -> None:
        try:
            self._rings.put_nowait((bell, model, is_call))
        except queue.Full:
            log.warning("bell not rung")

    def _ring_on(self) -> None:
        while (ring := self._rings.get()) is not None:
            bell, *arguments = ring
            try:
                # The queue itself: by its name alone Celery would send to its own default queue.
                self._app.send_task(TASK, arguments, queue=bell, expires=EXPIRES_SECONDS, retry=False)
            except Exception as error:  # noqa: BLE001 - a bell is never worth the thread
                log.warning("bell not rung", error=type(error).__name__)
