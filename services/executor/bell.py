"""The bell: Celery messages that wake a slot of a worker.

A message carries no job. It only says that there may be work for a model, on a queue of that model's own; the slot
that takes it claims from PostgreSQL, and passes the bell on if somebody else should rather hear it. A bell that is
lost, or rung in vain, costs nothing but time: every slot also looks by itself.
"""

import queue
import threading

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

log = structlog.get_logger()

TASK = "imagegen.paint"
EXPIRES_SECONDS = 60
"""A bell that nobody took by then says nothing new: the slots have looked thirty times since."""


PASSES = 8
"""How often a bell is passed on: waiting workers are served in turn, so after a few the right one has heard it."""


def queue_of(model: str) -> str:
    return f"imagegen.paint.{model}"


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
        self._rings: queue.Queue[tuple[str, int] | None] = queue.Queue(maxsize=1000)
        self._thread = threading.Thread(target=self._ring_on, name="bell", daemon=True)
        self._thread.start()

    def ring(self, model: str, passes: int = PASSES) -> None:
        """There may be work for this model."""
        try:
            self._rings.put_nowait((model, passes))
        except queue.Full:
            log.warning("bell not rung")

    def close(self) -> None:
        self._rings.put(None)
        self._thread.join(5)

    def _ring_on(self) -> None:
        while (ring := self._rings.get()) is not None:
            try:
                # The default exchange routes by the queue's name alone and survives a flushed Redis.
                self._app.send_task(
                    TASK, ring, exchange="", routing_key=queue_of(ring[0]), expires=EXPIRES_SECONDS, retry=False
                )
            except (OperationalError, OSError) as error:
                log.warning("bell not rung", error=type(error).__name__)
