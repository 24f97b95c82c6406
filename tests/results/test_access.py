"""Who may call what."""

from uuid import uuid4

import grpc
import pytest
from imagegen.results.v1 import results_service_pb2 as people
from imagegen.results.v1 import store_service_pb2 as workers

from tests.identities import as_person, as_service
from tests.results.conftest import Refusal, refusal

MISSING = Refusal("UNAUTHENTICATED", "TOKEN_MISSING")
INVALID = Refusal("UNAUTHENTICATED", "TOKEN_INVALID")
EXPIRED = Refusal("UNAUTHENTICATED", "TOKEN_EXPIRED")
NOT_ALLOWED = Refusal("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")

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


@pytest.mark.parametrize(
    ("metadata", "answer"),
    [
        ((), MISSING),
        ((("authorization", "Bearer nonsense"),), INVALID),
        (as_person(expires_in=-1), EXPIRED),
        (as_person(audience="elsewhere"), INVALID),
        (as_service("worker", "generation"), INVALID),
    ],
    ids=["anonymous", "nonsense", "expired", "a person of elsewhere", "a worker that calls generation"],
)
def test_nobody_calls_without_a_token_that_is_good_here(world, metadata, answer):
    for call in CALLS.values():
        with pytest.raises(grpc.RpcError) as caught:
            call(world, metadata)
        assert refusal(caught) == answer


def test_only_workers_bring_and_discard_pictures(world):
    for metadata in (as_person(), as_service("gateway", "results"), as_service("executor", "results")):
        for name in FOR_WORKERS:
            with pytest.raises(grpc.RpcError) as caught:
                CALLS[name](world, metadata)
            assert refusal(caught) == NOT_ALLOWED


def test_a_worker_has_no_pictures_of_its_own(world):
    for name in FOR_PEOPLE:
        with pytest.raises(grpc.RpcError) as caught:
            CALLS[name](world, as_service("worker", "results"))
        assert refusal(caught) == NOT_ALLOWED
