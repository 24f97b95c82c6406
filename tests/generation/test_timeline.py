"""What a task was at: parts without a gap that add up to its life, whatever the executor told."""

from dataclasses import replace
from datetime import timedelta

import pytest
from imagegen.executor.v1 import job_pb2
from imagegen.generation.v1 import task_pb2

from services.generation.domain import Phase, PhaseKind, State
from services.runtime.protos import from_timestamp, to_timestamp
from tests.generation.builders import NOW, a_snapshot, a_task


def ended(*told: tuple[PhaseKind, float], seconds: float = 10, state: State = State.COMPLETED):
    """The parts of a task that ended after so many seconds: name, beginning, length."""
    task = a_task(tried=True)
    phases = tuple(Phase(kind, NOW + timedelta(seconds=at)) for kind, at in told)
    snapshot = replace(a_snapshot(task, state=state), timeline=phases, finished_at=NOW + timedelta(seconds=seconds))
    return shown(task.apply(snapshot, NOW))


def shown(task):
    return [
        (phase.kind.value, (phase.started_at - NOW).total_seconds(), length.total_seconds())
        for phase, length in task.parts
    ]


def test_a_part_lasts_until_the_next_begins_and_the_first_begins_with_the_task():
    told = [(PhaseKind.QUEUED, 0.5), (PhaseKind.STARTING, 2), (PhaseKind.STEPS, 3), (PhaseKind.STORE, 9)]
    assert ended(*told) == [("queued", 0, 2), ("starting", 2, 1), ("steps", 3, 6), ("store", 9, 1)]


def test_clocks_that_disagree_make_no_part_negative_and_the_sum_not_wrong():
    told = [(PhaseKind.QUEUED, 0), (PhaseKind.STARTING, -3), (PhaseKind.STEPS, 4), (PhaseKind.STORE, 3.5)]
    assert ended(*told) == [("queued", 0, 0), ("starting", 0, 4), ("steps", 4, 0), ("store", 4, 6)]
    assert ended((PhaseKind.QUEUED, 0), (PhaseKind.STEPS, 12)) == [("queued", 0, 10), ("steps", 10, 0)]


def test_a_task_that_has_not_ended_has_no_timeline():
    assert a_task(state=State.PROCESSING).parts == []


def test_a_task_of_which_the_executor_told_none_has_no_timeline():
    assert ended() == []


@pytest.mark.parametrize(
    "end",
    [lambda task, now: task.request_cancel(now), lambda task, now: task.refuse("No.", now)],
    ids=["canceled", "refused"],
)
def test_a_task_that_no_executor_had_was_in_the_queue(end):
    assert shown(end(a_task(), NOW + timedelta(seconds=3))) == [("queued", 0, 3)]


def test_an_ended_task_shows_its_timeline_when_it_is_read_and_not_in_lists(world):
    task_id = world.submitted()
    created = from_timestamp(world.stand_in.jobs[task_id].create_time)
    phases = [
        job_pb2.Phase(kind=job_pb2.PHASE_KIND_QUEUED, start_time=to_timestamp(created)),
        job_pb2.Phase(kind=job_pb2.PHASE_KIND_STEPS, start_time=to_timestamp(created + timedelta(microseconds=1))),
        job_pb2.Phase(kind=77, start_time=to_timestamp(created + timedelta(microseconds=2))),  # of a later version
    ]
    world.stand_in.tell(task_id, "completed", timeline=phases)
    task = world.get(task_id)
    kinds = [phase.kind for phase in task.timeline]
    assert kinds == [task_pb2.PHASE_KIND_QUEUED, task_pb2.PHASE_KIND_STEPS]
    lengths = sum((phase.duration.ToTimedelta() for phase in task.timeline), timedelta())
    assert lengths == from_timestamp(task.finish_time) - from_timestamp(task.create_time)
    [listed] = world.listed().tasks
    assert (listed.id, list(listed.timeline)) == (task_id, [])
