"""What is told of a task's life when it has ended, whoever noticed, and whatever it came to."""

import threading

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.sdk.trace import ReadableSpan

from tests.generation.conftest import state_of
from tests.traces.recording import recording


@pytest.fixture
def spans():
    with recording() as spans:
        yield spans


def lives(spans, task_id: str) -> list[ReadableSpan]:
    return [
        span
        for span in spans.get_finished_spans()
        if span.name == "task" and span.attributes["imagegen.task.id"] == task_id
    ]


def nanoseconds(moment: Timestamp) -> int:
    return moment.ToNanoseconds()


def parts(spans, life: ReadableSpan) -> list[str]:
    return [
        span.name
        for span in spans.get_finished_spans()
        if span.parent is not None and span.parent.span_id == life.context.span_id
    ]


def test_a_task_that_no_executor_had_is_told_with_its_time_in_the_queue(spans, world):
    world.stand_in.go()
    task_id = world.create().id
    world.clock.advance(days=7)
    task = world.cancel(task_id)
    [life] = lives(spans, task_id)
    assert life.attributes["imagegen.task.state"] == "canceled"
    assert (life.start_time, life.end_time) == (nanoseconds(task.create_time), nanoseconds(task.finish_time))
    assert parts(spans, life) == ["queued"]


def test_a_life_is_a_part_of_the_trace_that_made_the_task(spans, world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed")
    task = world.get(task_id)
    [life] = lives(spans, task_id)
    _, trace, parent, _ = world.row(task_id).traceparent.split("-")
    assert (f"{life.context.trace_id:032x}", f"{life.parent.span_id:016x}") == (trace, parent)
    assert (life.start_time, life.end_time) == (nanoseconds(task.create_time), nanoseconds(task.finish_time))


def test_what_the_executor_refuses_is_told_with_the_reason(spans, world):
    task_id = world.create().id
    world.stand_in.refusal = (grpc.StatusCode.FAILED_PRECONDITION, "this will not be painted")
    world.first.submit_waiting()
    assert state_of(world.get(task_id)) == "failed"
    [life] = lives(spans, task_id)
    assert (life.attributes["imagegen.task.state"], life.attributes["error.type"]) == ("failed", "refused")


def test_an_end_that_several_replicas_see_is_told_once(spans, world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed")
    with world.replica() as second:
        both = [threading.Thread(target=replica.reconciler.reconcile) for replica in (world.first, second)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    world.get(task_id)
    assert len(lives(spans, task_id)) == 1
