"""Bells on a real Redis, and the real worker that hears them."""

from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import uuid4

import pytest
import redis

from deploy.local.ports import reserved_ports
from services.executor.bell import TASK, Bell, bell_of_engine, bell_of_model, celery_app
from tests.executor.sketch_process import SketchProcess
from tests.executor.worker_parts import until
from tests.executor.worker_process import WorkerProcess, remembering_results
from tests.valkey_process import ValkeyProcess


def test_a_bell_lies_in_the_queue_that_its_hearers_listen_to_and_nowhere_else(redis_url):
    engine_id = uuid4()
    bell = Bell(celery_app(redis_url))
    bell.ring("sd15")
    bell.call(engine_id, "sd15")
    bell.close()
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        rung = {name: client.llen(name) for name in client.scan_iter()}
    assert rung == {bell_of_model("sd15").name: 1, bell_of_engine(engine_id).name: 1}


@pytest.fixture
def redis_server() -> Iterator[ValkeyProcess]:
    """One to kill."""
    with reserved_ports(["valkey"]) as ports, ValkeyProcess(ports["valkey"]) as server:
        yield server


@pytest.fixture
def ring_and_be_heard(redis_server, database_url) -> Iterator[Callable[[], None]]:
    """Rings for sd15, and waits until the only worker has taken the message."""
    bell = bell_of_model("sd15").name
    with (
        SketchProcess() as sketch,
        remembering_results() as (address, _),
        WorkerProcess(
            database_url=database_url,
            redis_url=redis_server.url,
            results_address=address,
            comfyui_url=sketch.url,
        ),
        redis.Redis.from_url(redis_server.url) as client,
        closing(celery_app(redis_server.url)) as app,
    ):

        def ring_and_wait() -> None:
            app.send_task(TASK, ("sd15", False), queue=bell_of_model("sd15"))
            until(lambda: not client.llen(bell))

        yield ring_and_wait


def test_a_bell_is_heard_also_after_redis_was_killed(redis_server, ring_and_be_heard):
    ring_and_be_heard()
    redis_server.kill()
    redis_server.start()
    ring_and_be_heard()
