"""Failures on demand, and the ways in which the whole process ends, freezes and comes back."""

import signal

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError

from tests.executor.sketch_client import Client, a_picture, node
from tests.executor.sketch_process import SketchProcess


@pytest.fixture
def mortal_sketch():
    with SketchProcess() as process:
        yield process


@pytest.fixture
def mortal_client(mortal_sketch):
    with Client(mortal_sketch) as client:
        yield client


def test_an_armed_fault_hits_the_next_sampler_run_only(mortal_client):
    mortal_client.http.post("/sketch/faults", json={"kind": "oom", "times": 1}).raise_for_status()
    assert mortal_client.run(a_picture(seed=10))["execution_error"]["exception_type"] == "torch.OutOfMemoryError"
    assert mortal_client.run(a_picture(seed=10))["status"] == "completed"


def test_a_failing_node_can_recover(mortal_client):
    def graph():
        return {
            "image": node("EmptyImage", width=64, height=64, batch_size=1, color=1),
            "fail": node("SketchFail", image=["image", 0], nonce=4711, kind="value", times=2),
            "save": node("SaveImage", images=["fail", 0], filename_prefix="recovered"),
        }

    assert [mortal_client.run(graph())["status"] for _ in range(3)] == ["failed", "failed", "completed"]


def test_the_fault_door_is_shut_unless_asked_for():
    with SketchProcess(faults=False) as sketch:
        assert httpx.post(f"{sketch.url}/sketch/faults", json={"kind": "exit"}).status_code == 404


def test_exit_ends_the_process_without_a_word(mortal_sketch, mortal_client):
    mortal_client.http.post("/sketch/faults", json={"kind": "exit"})
    mortal_client.submit(a_picture())
    with pytest.raises(ConnectionClosedError):
        mortal_client.until("execution_success")
    assert mortal_sketch.wait() == 1


def test_a_zombie_answers_http_and_never_ends_its_prompt(mortal_client):
    mortal_client.http.post("/sketch/faults", json={"kind": "zombie"})
    dead = mortal_client.submit(a_picture())
    mortal_client.until("progress_state")
    waiting = mortal_client.submit(a_picture(seed=2))
    queue = mortal_client.http.get("/queue").json()
    assert [item[1] for item in queue["queue_running"]] == [dead]
    assert [item[1] for item in queue["queue_pending"]] == [waiting]


def test_a_client_id_that_is_a_list_ends_the_server(mortal_sketch):
    httpx.post(f"{mortal_sketch.url}/prompt", json={"prompt": a_picture(), "client_id": ["x"]})
    assert mortal_sketch.wait() != 0


def test_sigterm_ends_it_at_once_and_without_a_close_frame(mortal_sketch, mortal_client):
    assert mortal_sketch.terminate() == 128 + signal.SIGTERM
    with pytest.raises(ConnectionClosedError) as closed:
        mortal_client.until("execution_success")
    assert closed.value.rcvd is None


def test_a_restart_forgets_the_queue_and_keeps_the_files(mortal_sketch):
    with Client(mortal_sketch) as client:
        job = client.run(a_picture())
    url = mortal_sketch.url
    mortal_sketch.restart()
    assert mortal_sketch.url == url
    with Client(mortal_sketch) as client:
        assert client.http.get(f"/api/jobs/{job['id']}").status_code == 404
        assert client.http.get("/history").json() == {}
        assert client.view(job["preview_output"]).startswith(b"\x89PNG")


def test_a_paused_process_holds_its_connections_and_goes_on_when_resumed(mortal_sketch, mortal_client):
    mortal_sketch.pause()
    with pytest.raises(httpx.ReadTimeout):
        mortal_client.http.get("/prompt", timeout=0.2)
    mortal_sketch.resume()
    assert mortal_client.run(a_picture())["status"] == "completed"
