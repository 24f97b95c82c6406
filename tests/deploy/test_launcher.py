"""`make run`, with stand-ins for the services: real PostgreSQL, Valkey and Envoy, the real launcher."""

import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from deploy.local.installation import PROJECT
from deploy.local.ports import LOOPBACK, reserved_ports
from tests.deploy.waiting import wait_until

STAND_INS = {
    "services/runtime/migrate.py": "migrate()",
    "services/auth/__main__.py": "operate()",
    "services/auth/main.py": "serve_grpc('auth')",
    "services/generation/main.py": "serve_grpc('generation')",
    "services/executor/__main__.py": "operate()",
    "services/executor/main.py": "serve_grpc('executor')",
    "services/executor/worker.py": "work()",
    "services/executor/sketch.py": "sketch()",
    "services/results/main.py": "serve_grpc('results')",
    "gateway/main.py": "gateway()",
    "app/web/main.py": "app()",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of the launcher and the stand-ins."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT / "deploy", project / "deploy")
    shutil.copy(Path(__file__).with_name("stand_in.py"), project)
    shutil.copy(PROJECT / "Makefile", project)
    for path, call in STAND_INS.items():
        module = project / path
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(f"import stand_in\nstand_in.{call}\n")
    return project


def start(project, port, data, given=None, **options):
    command = [sys.executable, "-m", "deploy.local", "--port", str(port), "--data-dir", str(data)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(project), **(given or {})}
    return subprocess.Popen(command, cwd=project, env=environment, text=True, **options)


@contextmanager
def a_launcher(project, port, data, given=None):
    """A launcher with everything ready, and its log."""
    log = data.with_name("log")
    with (
        log.open("w") as output,
        start(project, port, data, given, stdout=output, stderr=output) as launcher,
    ):
        try:
            wait_until(lambda: "Ctrl-C stops everything" in log.read_text() or launcher.poll() is not None, seconds=60)
            assert launcher.returncode is None, log.read_text()
            yield launcher, log.read_text()
        finally:
            launcher.kill()


@pytest.fixture(scope="module")
def ready(project):
    """What a launcher with two engines said when all was ready, and its data folder."""
    data = project / "var"
    with (
        reserved_ports(["public"]) as ports,
        a_launcher(project, ports["public"], data, {"SKETCHES": "2"}) as (_, log),
    ):
        yield log, data


def test_the_banner_leads_to_a_picture(ready, tmp_path):
    log, _ = ready
    lines = log.splitlines()
    journey = lines[lines.index("A picture by curl:") + 1 : lines.index("Ctrl-C stops everything.")]
    subprocess.run(["sh", "-ec", "\n".join(journey)], cwd=tmp_path, check=True, timeout=20)
    assert (tmp_path / "picture.png").read_bytes() == b"a picture"


def test_the_status_file_tells_pids_and_addresses(ready):
    _, data = ready
    status = json.loads((data / "run" / "processes.json").read_text())
    assert httpx.get(f"{status['public_url']}/healthz", trust_env=False).status_code == 200
    assert status["processes"].keys() == {
        *("postgres", "valkey", "sketch", "migrate", "auth", "generation", "executor", "results"),
        *("worker", "gateway", "app", "envoy", "sketch-2", "worker-2"),
    }
    for name, process in status["processes"].items():
        assert (process["pid"] is None) == (name == "migrate")
        if process["address"] is not None:
            host, _, port = process["address"].rpartition(":")
            socket.create_connection((host, int(port))).close()


def test_valkey_wants_its_password(ready):
    _, data = ready
    address = json.loads((data / "run" / "processes.json").read_text())["processes"]["valkey"]["address"]
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET x\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


def pids(data):
    processes = json.loads((data / "run" / "processes.json").read_text())["processes"]
    return {name: process["pid"] for name, process in processes.items()}


def test_a_sketch_that_does_not_work_is_replaced_and_nothing_else(ready):
    _, data = ready
    before = pids(data)
    denied = data / "run" / "worker-2.denied"
    denied.touch()
    wait_until(lambda: pids(data)["sketch-2"] not in {before["sketch-2"], None})
    denied.unlink()
    assert pids(data) == {**before, "sketch-2": pids(data)["sketch-2"]}


def test_a_worker_that_does_not_work_is_replaced_and_nothing_else(ready):
    _, data = ready
    before = pids(data)
    broken = data / "run" / "worker-2.broken"
    broken.touch()
    wait_until(lambda: pids(data)["worker-2"] not in {before["worker-2"], None})
    broken.unlink()
    assert pids(data) == {**before, "worker-2": pids(data)["worker-2"]}


def test_a_comfyui_that_does_not_work_is_told_of_once(project, tmp_path):
    data, log = tmp_path / "var", tmp_path / "log"
    given = {"COMFYUI_URL": "http://comfyui.invalid:8188"}
    with reserved_ports(["public"]) as ports, a_launcher(project, ports["public"], data, given):
        denied = data / "run" / "worker.denied"
        denied.touch()
        wait_until(lambda: "http://comfyui.invalid:8188 answers, but does not work; restart it" in log.read_text())
        denied.unlink()
        wait_until(lambda: "http://comfyui.invalid:8188 works again" in log.read_text())
    assert log.read_text().count("does not work") == 1


def operate(project, data, target):
    """What `make executor` or `make auth` hands to the command: its arguments, and how it would be let in."""
    # What `make setup` leaves behind, but with the Python of these tests.
    environment = project / ".venv"
    environment.joinpath("bin").mkdir(parents=True, exist_ok=True)
    environment.joinpath("bin", "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    environment.joinpath("bin", "python").chmod(0o755)
    project.joinpath("requirements.lock").touch()
    environment.joinpath("synced").touch()
    command = ["make", target, "DO=workers drain 7", f"DATA_DIR={data}"]
    path = {"PATH": os.environ["PATH"]}
    made = subprocess.run(command, cwd=project, env=path, capture_output=True, text=True, check=True, timeout=20)
    return json.loads(made.stdout)


@pytest.mark.parametrize("target", ["executor", "auth"])
def test_an_operators_command_is_let_in_by_the_running_installation(ready, project, target):
    _, data = ready
    secrets = json.loads((data / "secrets.json").read_text())
    processes = json.loads((data / "run" / "processes.json").read_text())["processes"]
    password = secrets["auth_database_password"]
    assert operate(project, data, target) == {
        "arguments": ["workers", "drain", "7"],
        "environment": {
            "EXECUTOR_ADDRESS": processes["executor"]["address"],
            "SERVICE_KEY_OPERATOR": secrets["operator_service_key"],
            "AUTH_DATABASE_URL": f"postgresql://auth:{password}@{processes['postgres']['address']}/auth",
            "AUTH_ENCRYPTION_KEYS": secrets["auth_encryption_key"],
        },
    }
    assert stat.S_IMODE((data / "run" / "operator.env").stat().st_mode) == 0o600


@pytest.mark.parametrize("target", ["executor", "auth"])
def test_an_operators_command_runs_without_an_installation(project, tmp_path, target):
    assert operate(project, tmp_path, target) == {"arguments": ["workers", "drain", "7"], "environment": {}}


def test_a_second_launcher_on_the_same_folder_is_refused(ready, project):
    with reserved_ports(["public"]) as ports:
        _, data = ready
        with start(project, ports["public"], data, stderr=subprocess.PIPE) as second:
            _, error = second.communicate(timeout=10)
    assert second.returncode == 1
    assert error == f"Another launcher runs on {data}; stop it, or choose another folder with --data-dir.\n"


def test_a_taken_public_port_is_one_clear_line(project, tmp_path):
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with start(project, port, tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as launcher:
            output, error = launcher.communicate(timeout=10)
    assert launcher.returncode == 1
    assert output == ""
    assert error == f"Port {port} cannot be used (Address already in use); choose another with --port.\n"


def test_engines_that_cannot_be_are_one_clear_line_and_no_folder(project, tmp_path):
    data = tmp_path / "var"
    with start(project, 1, data, {"COMFYUI_URL": "http://a:8188,http://a:8188"}, stderr=subprocess.PIPE) as launcher:
        _, error = launcher.communicate(timeout=10)
    assert launcher.returncode == 1
    assert error == "COMFYUI_URL names http://a:8188 twice.\n"
    assert not data.exists()


def test_a_killed_launcher_can_be_started_again_at_once_and_stops_cleanly(project, tmp_path):
    data = tmp_path / "var"
    with reserved_ports(["public"]) as ports:
        with a_launcher(project, ports["public"], data) as (launcher, _):
            launcher.kill()
        with a_launcher(project, ports["public"], data) as (launcher, log):
            assert "postgres ended" not in log
            launcher.send_signal(signal.SIGTERM)
            assert launcher.wait(timeout=10) == 0
    assert not (data / "run" / "processes.json").exists()
    assert not (data / "run" / "operator.env").exists()
    with (data / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_whatever_ends_a_launcher_no_key_of_the_operator_is_left(project, tmp_path):
    data = tmp_path / "var"
    data.joinpath("run", "processes.json").mkdir(parents=True)  # so that the status file cannot be written
    with reserved_ports(["public"]) as ports, start(project, ports["public"], data, stderr=subprocess.PIPE) as launcher:
        _, error = launcher.communicate(timeout=20)
    assert launcher.returncode == 1
    assert "IsADirectoryError" in error
    assert not (data / "run" / "operator.env").exists()
