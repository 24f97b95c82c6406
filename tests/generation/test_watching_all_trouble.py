"""One stream of all of a person's tasks, when a reader is slow or something behind it is away."""

import asyncio

import grpc
import pytest
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import task_pb2

from services.generation.mailbox import KEPT, Mailbox
from tests.generation.conftest import shown
from tests.grpc_errors import reason


def test_whoever_reads_too_slowly_gets_a_reset_and_what_is_true_now(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    slow, quick = world.watch_all(), world.watch_all()
    for watch in (slow, quick):
        watch.until("caught_up")
    for _ in range(100):  # so much fills what a connection buffers
        world.stand_in.preview(task_id, bytes(100_000))
        quick.until("preview")
    steps = 2 * KEPT
    for step in range(1, steps + 1):
        world.stand_in.progress(task_id, step, steps)
    while quick.until("progress")[-1].progress.step < steps:
        pass
    told = shown(slow.until("caught_up"))
    world.stand_in.tell(task_id, "completed")

    assert ("", "reset", None) in told
    assert (task_id, "snapshot", "processing") in told[told.index(("", "reset", None)) :]
    assert shown(slow.until("status", "completed")) == [(task_id, "status", "completed")]


def test_a_slow_reader_loses_previews_before_anything_else():
    mailbox = Mailbox(kept=4)
    for number in range(3):
        mailbox.put(pb.WatchTasksResponse(task_id="a", preview=pb.Preview(image=b"%d" % number)))
    for step in (1, 2, 3, 4):
        mailbox.put(pb.WatchTasksResponse(task_id="b", progress=task_pb2.Progress(step=step)))

    async def read(count: int) -> list[pb.WatchTasksResponse | None]:
        return [await mailbox.next() for _ in range(count)]

    assert shown(asyncio.run(read(4))) == [("b", "progress", step) for step in (1, 2, 3, 4)]
    for step in range(5):
        mailbox.put(pb.WatchTasksResponse(task_id="b", progress=task_pb2.Progress(step=step)))
    assert asyncio.run(read(1)) == [None]


def test_a_stream_outlives_the_executor_and_repeats_nothing(world):
    task_id = world.submitted()
    watch = world.watch_all()
    watch.until("caught_up")
    world.stand_in.tell(task_id, "processing")
    world.stand_in.progress(task_id, 1, 3)
    seen = watch.until("progress")
    world.stand_in.go()
    world.stand_in.come()
    world.stand_in.progress(task_id, 2, 3)
    seen += watch.until("progress")
    world.stand_in.go()
    world.stand_in.tell(task_id, "completed")
    world.stand_in.come()
    seen += watch.until("status", "completed")

    assert [told[1:] for told in shown(seen)] == [
        ("status", "processing"),
        ("progress", 1),
        ("progress", 2),
        ("status", "completed"),
    ]


def test_a_stream_outlives_the_database_being_away_and_does_not_begin_then(world):
    task_id = world.submitted()
    watch = world.watch_all()
    watch.until("caught_up")
    with world.database_away():
        world.stand_in.tell(task_id, "completed")
        with pytest.raises(grpc.RpcError) as caught:
            world.watch_all().next()

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    watch.until("status", "completed", task_id)


def test_a_stream_begins_while_the_executor_is_away(world):
    task_id = world.submitted()
    world.stand_in.go()

    assert shown(world.watch_all().until("caught_up")) == [(task_id, "snapshot", "pending")]
