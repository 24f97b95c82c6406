"""With a part away, every task that is accepted ends in its picture. What dies in turn is tests/chaos's business."""

import contextlib
import signal
import threading
import time


def all_end_completed(person, tasks: list[str]) -> None:
    for task_id in tasks:
        task = person.ended(task_id)
        assert task["status"] == "completed", task
        assert [result["index"] for result in task["results"]] == [0], task


def test_with_redis_frozen_tasks_are_painted(installation, person):
    installation.kill("valkey", signal.SIGSTOP)
    try:
        all_end_completed(person, [person.generate()["id"] for _ in range(3)])
    finally:
        installation.kill("valkey", signal.SIGCONT)


def test_with_the_executor_down_tasks_are_accepted(installation, person):
    accepting, tasks = threading.Event(), []

    def keep_it_down() -> None:
        while not accepting.is_set():
            if installation.pid("executor"):
                with contextlib.suppress(ProcessLookupError):
                    installation.kill("executor")
            time.sleep(0.02)

    thread = threading.Thread(target=keep_it_down)
    thread.start()
    try:
        tasks = [person.generate()["id"] for _ in range(3)]
        assert {person.task(task_id)["status"] for task_id in tasks} == {"pending"}
    finally:
        accepting.set()
        thread.join()
    all_end_completed(person, tasks)
