"""Processes start by readiness, come back, stop in reverse, and never outlive their launcher."""

import asyncio
import fcntl
import io
import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from deploy.local.installation import PROJECT
from deploy.local.log import Log
from deploy.local.readiness import exists
from deploy.local.supervisor import Process, StartFailed, Supervisor
from tests.deploy.waiting import wait_until

CHILD = """
import os, signal, sys
name, folder, behaviour = sys.argv[1:]
def note(event):
    with open(f"{folder}/journal", "a") as journal:
        print(event, name, file=journal)
def stop(*_):
    note("stops")
    if behaviour != "stubborn":
        sys.exit()
signal.signal(signal.SIGTERM, stop)
note("starts")
if behaviour == "fails":
    sys.exit(3)
if behaviour == "forks" and os.fork() == 0:
    signal.pause()
note("is ready")
open(f"{folder}/{name}.ready", "w").close()
while True:
    signal.pause()
"""


class Stage:
    """Small processes on a stage of their own, and the journal of what they did."""

    def __init__(self, folder):
        self.folder = folder
        self.output = io.BytesIO()
        self.lock = (folder / "lock").open("a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def process(self, name, *, behaviour="", after=(), once=False, alive=None):
        ready = self.folder / f"{name}.ready"
        return Process(
            name,
            (sys.executable, "-I", "-S", "-c", CHILD, name, str(self.folder), behaviour),
            {},
            ready=None if once else exists(ready),
            after=after,
            prepare=partial(ready.unlink, missing_ok=True),
            alive=alive,
        )

    def run(self, *tiers, when_ready=lambda: None):
        """Runs the tiers until all were ready and `when_ready`, in a thread, has returned."""
        names = ["launcher", *(process.name for tier in tiers for process in tier)]
        supervisor = Supervisor(
            tiers,
            status=self.folder / "processes.json",
            public_url="http://127.0.0.1:1",
            log=Log(names, self.output),
            lock=self.lock.fileno(),
            grace_seconds=0.5,
            look_seconds=0.01,
        )

        async def scene():
            async def leave():
                await asyncio.to_thread(when_ready)
                running.cancel()

            running = asyncio.create_task(supervisor.run(leave))
            await asyncio.wait([running])
            if not running.cancelled():
                running.result()

        asyncio.run(scene())

    @property
    def journal(self):
        return (self.folder / "journal").read_text().splitlines()

    def pid(self, name):
        return json.loads((self.folder / "processes.json").read_text())["processes"][name]["pid"]


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.lock.close()


def test_a_process_starts_when_those_it_waits_for_are_ready(stage):
    stage.run([stage.process("late", after=("early",)), stage.process("early")])
    assert stage.journal[:4] == ["starts early", "is ready early", "starts late", "is ready late"]


def test_the_last_tier_stops_first(stage):
    stage.run([stage.process("platform")], [stage.process("service")], [stage.process("door")])
    assert stage.journal[-3:] == ["stops door", "stops service", "stops platform"]


def test_a_crashed_process_is_started_again(stage):
    def crash():
        before = stage.pid("service")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: stage.pid("service") not in {before, None})
        wait_until(lambda: stage.journal.count("is ready service") == 2)

    stage.run([stage.process("service"), stage.process("other")], when_ready=crash)
    assert stage.journal.count("starts service") == 2
    assert stage.journal.count("starts other") == 1


def test_a_process_that_runs_without_working_is_killed_and_started_again(stage):
    said = iter([False, True, False, False])

    def works():
        assert "is ready engine" in stage.journal
        return next(said, True)

    def await_second_run():
        wait_until(lambda: stage.journal.count("is ready engine") == 2)

    stage.run([stage.process("engine", behaviour="stubborn", alive=works)], when_ready=await_second_run)
    assert b"engine does not work though it runs, killed" in stage.output.getvalue()
    assert b"engine ended (SIGKILL); again in 0 s" in stage.output.getvalue()


def test_a_process_of_which_nobody_knows_goes_on(stage):
    looks = []

    def nobody_knows():
        looks.append(1)

    stage.run([stage.process("engine", alive=nobody_knows)], when_ready=lambda: wait_until(lambda: len(looks) > 5))
    assert stage.journal.count("starts engine") == 1


def test_a_process_that_fails_again_and_again_ends_the_start(stage):
    with pytest.raises(ExceptionGroup) as failure:
        stage.run([stage.process("fine")], [stage.process("service", behaviour="fails")])
    assert failure.group_contains(StartFailed, match=r"service does not start \(exit code 3\)")
    assert stage.journal.count("starts service") == 3
    assert stage.journal[-1] == "stops fine"


def test_what_runs_once_is_done_before_those_who_wait_for_it_start(stage):
    once = Process("migrate", ("/bin/sh", "-c", f"echo migrates >> {stage.folder}/journal"), {}, ready=None)
    stage.run([once, stage.process("service", after=("migrate",))])
    assert stage.journal[:2] == ["migrates", "starts service"]


def test_a_failed_migration_ends_the_start_before_a_service_begins(stage):
    migrate = stage.process("migrate", behaviour="fails", once=True)
    with pytest.raises(ExceptionGroup) as failure:
        stage.run([migrate, stage.process("service", after=("migrate",))])
    assert failure.group_contains(StartFailed, match="migrate failed")
    assert stage.journal == ["starts migrate"]


def test_who_does_not_stop_is_killed(stage):
    stage.run([stage.process("service", behaviour="stubborn")])
    assert stage.journal[-1] == "stops service"
    assert b"service does not stop, killed" in stage.output.getvalue()


def test_each_line_of_the_log_names_its_process(stage):
    speaker = Process("speaker", ("/bin/sh", "-c", "echo one; echo two >&2; printf three"), {}, ready=None)
    stage.run([speaker])
    assert [line for line in stage.output.getvalue().splitlines() if line.startswith(b"speaker")] == [
        b"speaker  | one",
        b"speaker  | two",
        b"speaker  | three",
    ]


LAUNCHER = """
import sys
from pathlib import Path
from tests.deploy.test_supervisor import Stage
stage = Stage(Path(sys.argv[1]))
stage.run([stage.process("service"), stage.process("parent", behaviour="forks")], when_ready=sys.stdin.read)
"""


@pytest.fixture
def launcher(tmp_path):
    """A launcher in a process of its own, with its two processes ready."""
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={"PYTHONPATH": str(PROJECT)}) as process:
        try:
            ready = [tmp_path / "service.ready", tmp_path / "parent.ready"]
            wait_until(lambda: all(path.exists() for path in ready))
            yield process
        finally:
            process.kill()


def is_deserted(folder):
    """Whether no process that inherited the lock lives."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_killed_launcher_leaves_no_process_behind(launcher, tmp_path):
    assert not is_deserted(tmp_path)
    launcher.kill()
    launcher.wait()
    wait_until(lambda: is_deserted(tmp_path), seconds=2)
    assert not any(line.startswith("stops") for line in (tmp_path / "journal").read_text().splitlines())


def test_a_child_that_its_parent_forgot_is_gone_after_a_stop(launcher, tmp_path):
    launcher.stdin.close()
    assert launcher.wait(timeout=5) == 0
    assert is_deserted(tmp_path)


def test_ctrl_c_reaches_only_the_launcher(launcher, tmp_path):
    processes = json.loads((tmp_path / "processes.json").read_text())["processes"]
    groups = {os.getpgid(process["pid"]) for process in processes.values()}
    assert len(groups) == 1
    assert os.getpgid(launcher.pid) not in groups
