"""Whoever's pictures take all that they may is told so when they ask for more; while nobody knows, they are let in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import grpc
import pytest
from imagegen.generation.v1 import generation_service_pb2 as gen
from imagegen.results.v1 import quota_service_pb2 as pb
from imagegen.results.v1 import quota_service_pb2_grpc
from prometheus_client import REGISTRY

from tests.generation.conftest import CAP, WAIT, Replica, World
from tests.grpc_errors import reason
from tests.identities import as_person
from tests.serving import stand_in

FULL = pb.CheckQuotaResponse(is_full=True, used_bytes=1_500_000, quota_bytes=1_000_000)
ROOM = pb.CheckQuotaResponse(used_bytes=1, quota_bytes=1_000_000)
NO_QUOTA = pb.CheckQuotaResponse(used_bytes=1)


class Results(quota_service_pb2_grpc.QuotaServiceServicer):
    """Answers what a test says, once it may."""

    def __init__(self) -> None:
        self.answer = ROOM
        self.failure: grpc.StatusCode | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked: list[str] = []
        self.metadata: dict[str, str] = {}

    def CheckQuota(self, request: pb.CheckQuotaRequest, context: grpc.ServicerContext) -> pb.CheckQuotaResponse:
        self.asked.append(request.owner_id)
        self.metadata = dict(context.invocation_metadata())
        if self.failure:
            context.abort(self.failure, "no")
        self.may_answer.wait(WAIT)
        return self.answer


@pytest.fixture
def results() -> Results:
    return Results()


@contextmanager
def beside(world: World, results: Results) -> Iterator[Replica]:
    """A replica that has results for a neighbour."""

    def register(server: grpc.Server) -> None:
        quota_service_pb2_grpc.add_QuotaServiceServicer_to_server(results, server)

    with stand_in(register) as world.results_address, world.replica() as replica:
        yield replica
        results.may_answer.set()


@pytest.fixture
def here(world, results) -> Iterator[Replica]:
    with beside(world, results) as replica:
        yield replica


def create(here: Replica, owner: UUID, **fields: object) -> gen.CreateTaskResponse:
    request = gen.CreateTaskRequest(**{"prompt": "a lighthouse", "model": "sd15"} | fields)
    return here.stub.CreateTask(request, metadata=as_person(owner), timeout=WAIT)


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.FAILED_PRECONDITION, "STORAGE_FULL")
    assert "1,500,000 of the 1,000,000 bytes" in caught.value.details()


def unknown() -> float:
    return REGISTRY.get_sample_value("imagegen_generation_quota_unknown_total") or 0


def tasks_of(world: World, owner: UUID) -> int:
    return len(world.listed(owner).tasks)


def test_who_is_full_is_refused_and_told_what_is_taken_of_how_much(world, here, results):
    results.answer = FULL

    with refused():
        create(here, world.me)

    assert tasks_of(world, world.me) == 0
    assert results.asked == [str(world.me)]
    assert results.metadata["authorization"].startswith("Bearer ")


def test_a_dry_run_meets_the_same_refusal(world, here, results):
    results.answer = FULL

    with refused():
        create(here, world.me, validate_only=True)


def test_who_has_room_is_let_in(world, here, results):
    assert create(here, world.me).task.id

    assert results.asked == [str(world.me)]


def test_a_repeat_of_what_was_accepted_is_answered_with_its_task(world, here, results):
    first = create(here, world.me, request_id="r")
    results.answer = FULL

    assert create(here, world.me, request_id="r").task.id == first.task.id
    with refused():
        create(here, world.me, request_id="other")


def test_it_counts_from_the_moment_that_it_is_true(world, here, results):
    create(here, world.me)
    results.answer = FULL
    with refused():
        create(here, world.me)
    results.answer = ROOM

    assert create(here, world.me).task.id


def test_a_full_store_is_said_before_a_full_queue_which_would_pass(world, here, results):
    for _ in range(CAP):
        create(here, world.me)
    results.answer = FULL

    with refused():
        create(here, world.me)


def test_where_there_is_no_quota_it_is_seldom_asked_for(world, here, results):
    results.answer = NO_QUOTA
    for _ in range(5):
        create(here, uuid4())
    assert len(results.asked) == 1
    results.answer = FULL
    world.clock.advance(seconds=31)

    with refused():
        create(here, uuid4())


@pytest.mark.parametrize("failure", [grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED])
def test_while_results_fails_everybody_is_let_in(world, here, results, failure):
    results.failure = failure
    before = unknown()

    assert create(here, world.me).task.id
    assert create(here, world.me).task.id
    assert unknown() == before + 2
    assert len(results.asked) == 1, "and it is left in peace for a moment"

    results.failure, results.answer = None, FULL
    world.clock.advance(seconds=2)
    with refused():
        create(here, world.me)
    assert unknown() == before + 2


def test_results_that_does_not_answer_is_not_waited_for(world, results):
    results.may_answer.clear()
    results.answer = FULL
    world.patience = 0.05
    before = unknown()

    with beside(world, results) as here:
        assert create(here, world.me).task.id
        assert not results.may_answer.is_set()

    assert unknown() == before + 1


def test_without_results_tasks_are_accepted(world):
    before = unknown()

    assert world.create().id

    assert unknown() == before + 1
