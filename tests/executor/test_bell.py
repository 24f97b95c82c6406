"""Bells on a real Redis, and the real worker that hears them."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from deploy.local.ports import reserved_ports
from services.executor.bell import TASK, Bell, bell_of_engine, bell_of_model, celery_app
from services.executor.settings import MODELS
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
def models_dir(tmp_path) -> Path:
    """The presets but for sdxl-turbo."""
    return shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns("sdxl-turbo.*"))


@pytest.fixture
def ring_and_be_heard(redis_server, database_url, models_dir) -> Iterator[Callable[[str], None]]:
    """Rings for a model, and waits until the only worker has taken the message."""
    with (
        SketchProcess() as sketch,
        remembering_results() as (address, _),
        WorkerProcess(
            database_url=database_url,
            redis_url=redis_server.url,
            results_address=address,
            comfyui_url=sketch.url,
            EXECUTOR_MODELS_DIR=str(models_dir),
        ),
        redis.Redis.from_url(redis_server.url) as client,
        closing(celery_app(redis_server.url)) as app,
    ):

        def ring_and_wait(model: str) -> None:
            app.send_task(TASK, (model, False), queue=bell_of_model(model))
            until(lambda: not client.llen(bell_of_model(model).name))

        yield ring_and_wait


def test_bells_are_heard_also_after_redis_was_killed_and_that_of_a_new_model_too(
    redis_server, ring_and_be_heard, models_dir
):
    ring_and_be_heard("sd15")
    redis_server.kill()
    redis_server.start()
    ring_and_be_heard("sd15")
    for path in MODELS.glob("sdxl-turbo.*"):
        shutil.copy(path, models_dir)
    ring_and_be_heard("sdxl-turbo")
