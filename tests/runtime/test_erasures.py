"""Deleted accounts as every context hears of them, from an auth that lists what a test says."""

import queue
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import grpc
import pytest
from imagegen.auth.v1 import identity_service_pb2 as pb
from imagegen.auth.v1 import identity_service_pb2_grpc

from services.runtime.channels import Peer, channel
from services.runtime.erasures import Erasures, owner_hash
from services.runtime.errors import DependencyUnavailable
from tests.identities import identity
from tests.serving import stand_in

WAIT = 15.0


class Auth(identity_service_pb2_grpc.IdentityServiceServicer):
    """Lists the accounts that have not been acknowledged."""

    def __init__(self) -> None:
        self.deleted: list[UUID] = []
        self.is_away = False
        self.looks = threading.Semaphore(0)
        self.acknowledged: queue.Queue[UUID] = queue.Queue()

    def ListErasures(self, request, context):
        self.looks.release()
        if self.is_away:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        return pb.ListErasuresResponse(user_ids=[str(user_id) for user_id in self.deleted])

    def AcknowledgeErasure(self, request, context):
        self.deleted.remove(UUID(request.user_id))
        self.acknowledged.put(UUID(request.user_id))
        return pb.AcknowledgeErasureResponse()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve; yields `host:port`."""
        with stand_in(
            lambda server: identity_service_pb2_grpc.add_IdentityServiceServicer_to_server(self, server)
        ) as at:
            yield at


class Context:
    """Erases in as many steps as a test says, or raises what it says."""

    def __init__(self) -> None:
        self.steps: Counter[UUID] = Counter()
        self.raises: dict[UUID, Exception] = {}
        self.erased: list[UUID] = []

    def erase(self, user_id: UUID) -> bool:
        if user_id in self.raises:
            raise self.raises[user_id]
        self.steps[user_id] -= 1
        if self.steps[user_id] > 0:
            return False
        self.erased.append(user_id)
        return True


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def erasures(auth, context) -> Iterator[Erasures]:
    with auth.running() as address, channel(address) as to_auth:
        yield Erasures(to_auth, Peer(identity("results"), "auth"), context.erase)


def test_a_hash_is_of_one_owner_and_does_not_tell_whom():
    owner = uuid4()

    assert owner_hash(owner) == owner_hash(UUID(str(owner)))
    assert owner_hash(owner) != owner_hash(uuid4())
    assert len(owner_hash(owner)) == 32
    assert owner.bytes not in owner_hash(owner)


def test_what_is_listed_is_erased_and_acknowledged(erasures, auth, context):
    deleted = [uuid4(), uuid4()]
    auth.deleted = deleted.copy()

    erasures.look()

    assert context.erased == deleted
    assert auth.deleted == []


def test_what_is_not_done_yet_is_not_acknowledged_and_holds_nobody_up(erasures, auth, context):
    long, short = uuid4(), uuid4()
    auth.deleted = [long, short]
    context.steps[long] = 2

    erasures.look()
    assert auth.deleted == [long]
    erasures.look()

    assert context.erased == [short, long]
    assert auth.deleted == []


@pytest.mark.parametrize("error", [DependencyUnavailable("the database"), RuntimeError("secret")])
def test_an_account_that_cannot_be_erased_now_holds_nobody_up(erasures, auth, context, error):
    bad, good = uuid4(), uuid4()
    auth.deleted = [bad, good]
    context.raises[bad] = error

    erasures.look()

    assert context.erased == [good]
    assert auth.deleted == [bad]


def test_an_error_is_logged_without_what_it_quotes(erasures, auth, context, capfd):
    auth.deleted = [uuid4()]
    context.raises[auth.deleted[0]] = RuntimeError("secret")

    erasures.look()

    printed = "".join(capfd.readouterr())
    assert "erasure failed" in printed
    assert "secret" not in printed
    assert str(auth.deleted[0]) not in printed


def test_it_looks_on_after_auth_was_away_until_it_is_told_to_stop(erasures, auth, context):
    stopping = threading.Event()
    auth.is_away = True
    erasures.start(stopping)
    assert auth.looks.acquire(timeout=WAIT)
    auth.deleted = [uuid4()]
    auth.is_away = False

    assert auth.acknowledged.get(timeout=WAIT) in context.erased
    stopping.set()
