"""What a task was at, told after its end without a gap, whatever happened to it."""

from datetime import datetime

import pytest

from tests.deploy.waiting import wait_until


def checked(task: dict) -> list[str]:
    """The names of a timeline's parts, which lie end to end from the task's making to its end."""
    timeline = task["timeline"]
    end = moment(task["created_at"])
    for part in timeline:
        begin = moment(part["started_at"])
        assert begin == pytest.approx(end, abs=1e-5), task
        end = begin + part["seconds"]
    assert end == pytest.approx(moment(task["finished_at"]), abs=1e-5), task
    return [part["phase"] for part in timeline]


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def painting(person) -> str:
    """A task in its steps: the five seconds which they take leave time to ask and to act, on a busy machine too."""
    task_id = person.generate(width=512, height=512, steps=100)["id"]
    wait_until(lambda: person.task(task_id)["progress"] is not None, seconds=60)
    return task_id


def test_a_completed_task_tells_every_phase_and_its_page_of_the_history_does_not(person):
    task = person.ended(person.generate(steps=20)["id"])
    assert task["status"] == "completed"
    phases = checked(task)
    assert phases[:3] == ["queued", "starting", "painting"]
    assert phases[-3:] == ["steps", "decode", "store"]
    [listed] = person.http.get("/api/v1/generation/history").json()["tasks"]
    assert (listed["id"], listed["timeline"]) == (task["id"], [])


def test_a_task_whose_model_was_not_in_memory_tells_how_long_that_took(person):
    person.ended(person.generate()["id"])
    task = person.ended(person.generate(model="sdxl", width=1024, height=1024, steps=2)["id"])
    assert checked(task) == ["queued", "starting", "painting", "model_load", "steps", "decode", "store"]


def test_a_task_has_no_timeline_before_it_has_ended_and_a_canceled_one_tells_how_far_it_came(person):
    task_id = painting(person)
    assert person.task(task_id)["timeline"] == []
    person.http.post(f"/api/v1/generation/tasks/{task_id}/cancel").raise_for_status()
    task = person.ended(task_id)
    assert (task["status"], checked(task)[-1]) == ("canceled", "steps")


def test_a_task_whose_run_another_worker_took_over_tells_no_gap(installation, person):
    task_id = painting(person)
    installation.kill("worker")
    task = person.ended(task_id)
    assert (task["status"], checked(task)) == ("completed", ["queued", "starting", "painting", "store"])


def test_a_task_that_was_painted_again_tells_what_was_lost(installation, person):
    task_id = painting(person)
    with installation.kept_down("worker"):
        wait_until(lambda: person.task(task_id)["status"] == "pending", seconds=60)
    task = person.ended(task_id)
    phases = checked(task)
    assert task["status"] == "completed"
    assert phases[:4] == ["queued", "lost", "queued", "starting"]
    assert phases[-1] == "store"
