"""A deleted account: its tasks go, nothing brings them back, and whoever works on them stays calm."""

from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa

from services.generation.domain import SUBMIT_TRIES
from services.generation.service import ERASED_AT_ONCE
from tests.generation.conftest import WAIT, eventually, in_parallel
from tests.generation.test_submitting import fail
from tests.grpc_errors import reason


def tables(world) -> str:
    """Everything that the database holds, as text."""
    with world.engine.begin() as tx:
        names = sa.inspect(tx).get_table_names()
        return "".join(str(row) for name in names for row in tx.execute(sa.text(f"SELECT {name}::text FROM {name}")))


def refused(call, *args: object, **fields: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **fields)
    return caught.value.code(), reason(caught.value)


def test_an_erased_owners_tasks_are_gone_and_nobody_elses(world):
    waiting, submitted, other = world.create(), world.submitted(), world.create(uuid4())

    assert world.first.tasks.erase(world.me)

    held = tables(world)
    assert other.id in held
    for trace in (str(world.me), world.me.hex, waiting.id, submitted):
        assert trace not in held


def test_nothing_more_is_accepted_for_an_erased_owner(world):
    world.create(request_id="r")
    world.first.tasks.erase(world.me)
    revoked = (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")

    assert refused(world.create) == revoked
    assert refused(world.create, request_id="r") == revoked
    assert world.create(uuid4())
    assert world.listed().tasks == []


def test_an_erasure_may_be_repeated(world):
    world.create()

    assert world.first.tasks.erase(world.me)
    assert world.first.tasks.erase(world.me)


def test_a_long_history_goes_piece_by_piece(world):
    task_id = world.create().id
    columns = [column["name"] for column in sa.inspect(world.engine).get_columns("generation_tasks")]
    copied = ", ".join(f'"{name}"' for name in columns if name != "id")
    world.sql(
        f"INSERT INTO generation_tasks (id, {copied}) SELECT gen_random_uuid(), {copied}"
        f" FROM generation_tasks, generate_series(1, {ERASED_AT_ONCE}) WHERE id = '{task_id}'"
    )

    assert not world.first.tasks.erase(world.me)
    assert refused(world.create)[1] == "TOKEN_REVOKED"
    assert world.first.tasks.erase(world.me)
    assert world.listed().tasks == []


def test_a_task_that_meets_the_erasure_of_its_owner_does_not_stay(world):
    with world.replica() as second:
        for _ in range(5):
            owner = uuid4()
            answers = in_parallel(8, lambda i, owner=owner: world.create(owner) if i else second.tasks.erase(owner))

            assert answers[0] is True
            assert {reason(answer) for answer in answers if isinstance(answer, grpc.RpcError)} <= {"TOKEN_REVOKED"}
            assert str(owner) not in tables(world)


@pytest.mark.parametrize("refusal", [None, (grpc.StatusCode.FAILED_PRECONDITION, "no"), (grpc.StatusCode.INTERNAL, "")])
def test_a_submit_whose_task_vanishes_meanwhile_ends_quietly_and_the_next_one_leaves(world, refusal):
    world.create()
    other = world.create(uuid4())
    world.stand_in.refusal = refusal
    world.stand_in.before["SubmitJob"] = lambda: world.first.tasks.erase(world.me)

    world.first.submit_waiting()

    assert world.stand_in.calls.count("SubmitJob") == 2
    assert str(world.me) not in tables(world)
    assert world.row(other.id).submit_tried_at


def test_a_task_that_vanishes_while_it_is_given_up_is_not_missed(world):
    world.create()
    fail(world, times=SUBMIT_TRIES - 1)
    world.stand_in.before["CancelJob"] = lambda: world.first.tasks.erase(world.me)

    assert fail(world, times=1) == 1

    assert str(world.me) not in tables(world)


@pytest.mark.parametrize("failing", [set(), {"CancelJob"}])
def test_a_cancel_whose_task_vanishes_meanwhile_ends_quietly(world, failing):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    world.cancel(task_id)
    world.stand_in.failing = failing
    world.stand_in.before["CancelJob"] = lambda: world.first.tasks.erase(world.me)

    world.first.reconciler.repeat_cancels()

    assert str(world.me) not in tables(world)


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_the_executor_tells_of_a_vanished_task_ends_quietly(world, is_lost):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed", hint=False)
    if is_lost:
        world.stand_in.lose_database()
    world.stand_in.before["BatchGetJobs"] = lambda: world.first.tasks.erase(world.me)

    world.first.reconciler.reconcile()

    assert str(world.me) not in tables(world)


@pytest.mark.parametrize("happens", ["a status", "the executor goes"])
def test_a_watch_of_a_vanished_task_ends(world, happens):
    task_id = world.submitted()
    watch = world.watch(task_id)
    watch.next()
    world.first.tasks.erase(world.me)
    if happens == "a status":
        world.stand_in.tell(task_id, "processing")
    else:
        world.stand_in.go()

    assert refused(watch.rest) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")


def test_a_cancel_that_is_on_its_way_finds_no_task(world):
    task_id = world.submitted()
    world.stand_in.before["CancelJob"] = lambda: world.first.tasks.erase(world.me)

    assert refused(world.cancel, task_id) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")


def test_no_step_of_the_service_fails_because_of_an_erasure(world, capfd):
    mine, other = world.create(), world.create(uuid4())
    world.first.reconciler.start()
    world.stand_in.followed.get(timeout=WAIT)
    eventually(lambda: {mine.id, other.id} <= world.stand_in.jobs.keys())
    world.first.tasks.erase(world.me)
    world.stand_in.tell(mine.id, "processing")
    world.stand_in.tell(other.id, "completed")
    eventually(lambda: world.row(other.id).status == "completed")

    assert "failed" not in "".join(capfd.readouterr())
