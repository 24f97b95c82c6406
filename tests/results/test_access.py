"""Who may call what."""

from uuid import UUID, uuid4

import grpc
import pytest
from imagegen.results.v1 import results_service_pb2 as people
from imagegen.results.v1 import store_service_pb2 as workers

from tests.identities import Metadata, access_token, as_person, as_service
from tests.results.conftest import Refusal, World, refusal, refusal_of

MISSING = Refusal("UNAUTHENTICATED", "TOKEN_MISSING")
INVALID = Refusal("UNAUTHENTICATED", "TOKEN_INVALID")
EXPIRED = Refusal("UNAUTHENTICATED", "TOKEN_EXPIRED")
REVOKED = Refusal("UNAUTHENTICATED", "TOKEN_REVOKED")
NOT_ALLOWED = Refusal("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
SCOPE_MISSING = Refusal("PERMISSION_DENIED", "SCOPE_MISSING")
NOT_FOUND = Refusal("NOT_FOUND", "RESULT_NOT_FOUND")

SOME_ID = str(uuid4())
CALLS = {
    "GetResult": lambda w, m: w.people.GetResult(people.GetResultRequest(result_id=SOME_ID), metadata=m),
    "ListResults": lambda w, m: w.people.ListResults(people.ListResultsRequest(), metadata=m),
    "DeleteResult": lambda w, m: w.people.DeleteResult(people.DeleteResultRequest(result_id=SOME_ID), metadata=m),
    "DownloadResult": lambda w, m: list(
        w.people.DownloadResult(people.DownloadResultRequest(result_id=SOME_ID), metadata=m)
    ),
    "StoreResult": lambda w, m: w.workers.StoreResult(iter([]), metadata=m),
    "DiscardResults": lambda w, m: w.workers.DiscardResults(
        workers.DiscardResultsRequest(task_id=SOME_ID, owner_id=SOME_ID), metadata=m
    ),
}
FOR_WORKERS = {"StoreResult", "DiscardResults"}
FOR_PEOPLE = CALLS.keys() - FOR_WORKERS
SCOPES = dict.fromkeys(FOR_PEOPLE, "read") | {"DeleteResult": "generate"}
"""What an API key needs."""
REVOKED_SID = UUID(int=1)


def outcome(world: World, name: str, metadata: Metadata) -> Refusal | None:
    """How the call was refused; None if it was not, or only because there is no such result."""
    try:
        CALLS[name](world, metadata)
    except grpc.RpcError as error:
        found = refusal_of(error)
        return None if found == NOT_FOUND else found
    return None


@pytest.mark.parametrize(
    ("metadata", "answer"),
    [
        ((), MISSING),
        ((("authorization", "Bearer nonsense"),), INVALID),
        ((("authorization", "Bearer igk_nonsense"),), INVALID),
        (as_person(expires_in=-1), EXPIRED),
        (as_person(audience="elsewhere"), INVALID),
        (as_person(sid=REVOKED_SID), REVOKED),
        (as_person(sid=REVOKED_SID, scope="generate read"), REVOKED),
        (as_service("worker", "generation"), INVALID),
    ],
    ids=[
        "anonymous",
        "nonsense",
        "no such key",
        "expired",
        "a person of elsewhere",
        "a revoked session",
        "a revoked key",
        "a worker that calls generation",
    ],
)
def test_nobody_calls_without_a_token_that_is_good_here(world, metadata, answer):
    world.revoke(REVOKED_SID)

    for name in CALLS:
        assert outcome(world, name, metadata) == answer


def test_people_see_their_pictures(world):
    for name in FOR_PEOPLE:
        assert outcome(world, name, as_person()) is None


def test_an_api_key_is_good_for_its_scopes_only(world):
    for name in FOR_PEOPLE:
        needed = SCOPES[name]
        others = " ".join({"generate", "read", "share", "admin"} - {needed})

        assert outcome(world, name, as_person(scope=needed)) is None
        for scope in (others, ""):
            assert outcome(world, name, as_person(scope=scope)) == SCOPE_MISSING
            assert outcome(world, name, as_person(scope=scope, role="operator")) == SCOPE_MISSING


def test_an_api_key_is_taken_for_its_owner_wherever_a_token_is(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    world.authority.keys["igk_mine"] = access_token(owner, scope="read generate")
    metadata = (("authorization", "Bearer igk_mine"),)

    assert world.people.GetResult(people.GetResultRequest(result_id=stored.id), metadata=metadata).result == stored
    for name in FOR_PEOPLE:
        assert outcome(world, name, metadata) is None


def test_an_operator_has_no_more_pictures_than_others(world):
    stored = world.store()
    operator = as_person(role="operator")
    reads = [
        lambda: world.people.GetResult(people.GetResultRequest(result_id=stored.id), metadata=operator),
        lambda: world.people.DeleteResult(people.DeleteResultRequest(result_id=stored.id), metadata=operator),
        lambda: world.download(stored.id, operator),
    ]

    for read in reads:
        with pytest.raises(grpc.RpcError) as caught:
            read()
        assert refusal(caught) == NOT_FOUND
    assert world.people.ListResults(people.ListResultsRequest(), metadata=operator).results == []


def test_only_workers_bring_and_discard_pictures(world):
    others = [as_person(), as_person(role="operator"), as_person(scope="generate read share admin")]
    for metadata in (*others, as_service("gateway", "results"), as_service("executor", "results")):
        for name in FOR_WORKERS:
            assert outcome(world, name, metadata) == NOT_ALLOWED


def test_a_worker_has_no_pictures_of_its_own(world):
    for name in FOR_PEOPLE:
        assert outcome(world, name, as_service("worker", "results")) == NOT_ALLOWED
