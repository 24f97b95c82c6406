"""The engine seam on sketch across a bad network: each run ends in its picture or in a typed error, and runs once."""

import socket
import threading
from contextlib import closing
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.errors import EngineUnavailable
from services.executor.engine.events import Progress
from services.executor.engine.http import Http
from tests.executor.sketch_client import a_picture
from tests.executor.sketch_process import SketchProcess
from tests.tcp_proxy import TcpProxy

PATIENCE_S = 4
FAULT_S = 0.6

FAULTS = {
    "delays": lambda network: network.delay(0.2),
    "drops": lambda network: network.drop(),
    "half-opens": lambda network: network.freeze(),
    "truncates at once": lambda network: network.truncate(20),
    "truncates in a body": lambda network: network.truncate(400),
    "cuts": lambda network: network.cut(),
}
LASTING = FAULTS.keys() - {"delays", "cuts"}


@pytest.fixture(scope="module")
def sketch():
    with SketchProcess(step_seconds=0.2) as process:
        yield process


@pytest.fixture
def network(sketch):
    with TcpProxy(urlsplit(sketch.url).netloc) as network:
        yield network


@pytest.fixture
def fail_for_a_while(network):
    lifting = []

    def fail(fault):
        FAULTS[fault](network)
        lifting.append(threading.Timer(FAULT_S, network.pass_on))
        lifting[-1].start()

    yield fail
    for timer in lifting:
        timer.join()


@pytest.fixture
def submissions(sketch):
    """Tells how many prompts have come to the server since the test began: it numbers them."""

    def number():
        return httpx.post(f"{sketch.url}/prompt", json={"prompt": a_picture()}).json()["number"]

    before = number()
    return lambda: number() - before - 1


def paint(network, on_step=lambda: None):
    def on_event(event):
        if isinstance(event, Progress) and event.step == 2:
            on_step()

    with closing(ComfyUI(f"http://{network.address}", patience=PATIENCE_S)) as engine:
        engine.start()
        engine.queue_length()
        return engine.run(uuid4(), a_picture(steps=40), output_node="save", on_event=on_event)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_that_fails_for_a_while_in_mid_run_costs_nothing(fault, network, fail_for_a_while, submissions):
    (picture,) = paint(network, on_step=lambda: fail_for_a_while(fault))
    assert picture.startswith(b"\x89PNG")
    assert submissions() == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_that_fails_for_a_while_when_the_prompt_is_sent_costs_nothing(
    fault, network, fail_for_a_while, submissions
):
    with closing(ComfyUI(f"http://{network.address}", patience=PATIENCE_S)) as engine:
        engine.start()
        engine.queue_length()
        fail_for_a_while(fault)
        (picture,) = engine.run(uuid4(), a_picture(), output_node="save", on_event=lambda _: None)
    assert picture.startswith(b"\x89PNG")
    assert submissions() == 1


@pytest.mark.parametrize(
    ("error", "kind"), [(ConnectionResetError, "no_answer"), (ConnectionRefusedError, "unreachable")]
)
def test_a_connection_that_is_reset_while_it_is_made_comes_from_something_that_is_there(monkeypatch, error, kind):
    def connect(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(EngineUnavailable) as caught:
        Http("http://127.0.0.1:9").ask("GET", "/queue", seconds=1)
    assert caught.value.kind == kind


@pytest.mark.parametrize("fault", sorted(LASTING))
def test_a_network_that_fails_for_good_ends_the_run_with_the_patience(fault, network, submissions):
    with pytest.raises(EngineUnavailable) as error:
        paint(network, on_step=lambda: FAULTS[fault](network))
    assert error.value.kind == "no_answer"
    assert submissions() == 1


def test_a_prompt_that_is_held_back_beyond_the_patience_runs_once_at_most(network, submissions):
    with closing(ComfyUI(f"http://{network.address}", patience=1)) as engine:
        engine.start()
        engine.queue_length()
        network.freeze()
        with pytest.raises(EngineUnavailable) as error:
            engine.run(uuid4(), a_picture(), output_node="save", on_event=lambda _: None)
        assert error.value.kind == "no_answer"
        network.pass_on()
        engine.queue_length()
    assert submissions() <= 1
