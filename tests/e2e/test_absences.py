"""With a part away, every task that is accepted ends in its picture. What dies in turn is tests/chaos's business."""

import signal


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
    with installation.kept_down("executor"):
        tasks = [person.generate()["id"] for _ in range(3)]
        assert {person.task(task_id)["status"] for task_id in tasks} == {"pending"}
    all_end_completed(person, tasks)
