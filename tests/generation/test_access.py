"""Who may call: people, with their own token or a key that is good for the call; of the models, anybody."""

from uuid import uuid4

import grpc
import pytest
from imagegen.generation.v1 import generation_service_pb2 as pb

from services.runtime.ids import uuid7
from tests.generation.conftest import WAIT
from tests.grpc_errors import fields, reason
from tests.identities import access_token, as_person, as_service

FOR_PEOPLE = [
    ("CreateTask", pb.CreateTaskRequest(prompt="a lighthouse", model="sd15")),
    ("CreateTask", pb.CreateTaskRequest(prompt="a lighthouse", model="sd15", validate_only=True)),
    ("GetTask", pb.GetTaskRequest(task_id=str(uuid7()))),
    ("ListTasks", pb.ListTasksRequest()),
    ("CancelTask", pb.CancelTaskRequest(task_id=str(uuid7()))),
    ("WatchTask", pb.WatchTaskRequest(task_id=str(uuid7()))),
    ("SuggestPrompts", pb.SuggestPromptsRequest()),
]
SCOPES = {"CreateTask": "generate", "CancelTask": "generate"}
"""What an API key needs; for every other call it is `read`."""
ALL_SCOPES = {"generate", "read", "share", "admin"}

INVALID = ("UNAUTHENTICATED", "TOKEN_INVALID")
REVOKED = ("UNAUTHENTICATED", "TOKEN_REVOKED")
NOT_ALLOWED = ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
SCOPE_MISSING = ("PERMISSION_DENIED", "SCOPE_MISSING")
NOT_FOUND = ("NOT_FOUND", "TASK_NOT_FOUND")
ADMITTED = [("OK", ""), NOT_FOUND]
"""Who may call is answered, or told that there is no such task."""


def outcome(world, method, request, metadata=()) -> tuple[str, str]:
    """Status code and reason."""
    try:
        answer = getattr(world.first.stub, method)(request, metadata=metadata, timeout=WAIT)
        if method == "WatchTask":
            list(answer)
    except grpc.RpcError as error:
        return error.code().name, reason(error)
    return "OK", ""


@pytest.mark.parametrize(("method", "request_"), FOR_PEOPLE)
def test_only_people_with_a_good_token_have_tasks(world, method, request_):
    expired, of_somewhere_else = as_person(expires_in=-1), as_person(audience="elsewhere")

    assert outcome(world, method, request_, as_person()) in ADMITTED
    assert outcome(world, method, request_) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    assert outcome(world, method, request_, expired) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
    assert outcome(world, method, request_, of_somewhere_else) == INVALID
    assert outcome(world, method, request_, as_service("gateway", "generation")) == NOT_ALLOWED


@pytest.mark.parametrize(("method", "request_"), FOR_PEOPLE)
def test_a_revoked_token_is_good_for_nothing(world, method, request_):
    sid = uuid4()
    world.first.authority.revoke(sid)

    assert outcome(world, method, request_, as_person(sid=sid)) == REVOKED
    assert outcome(world, method, request_, as_person(sid=sid, scope="generate read")) == REVOKED


@pytest.mark.parametrize(("method", "request_"), FOR_PEOPLE)
def test_an_api_key_is_good_for_its_scopes_only(world, method, request_):
    needed = SCOPES.get(method, "read")
    others = " ".join(ALL_SCOPES - {needed})

    assert outcome(world, method, request_, as_person(scope=needed)) in ADMITTED
    for scope in (others, ""):
        assert outcome(world, method, request_, as_person(scope=scope)) == SCOPE_MISSING
        assert outcome(world, method, request_, as_person(scope=scope, role="operator")) == SCOPE_MISSING


@pytest.mark.parametrize(("method", "request_"), FOR_PEOPLE)
def test_an_api_key_is_taken_for_its_owner_wherever_a_token_is(world, method, request_):
    world.first.authority.keys["igk_mine"] = access_token(world.me, scope="generate read")

    assert outcome(world, method, request_, (("authorization", "Bearer igk_mine"),)) in ADMITTED
    assert outcome(world, method, request_, (("authorization", "Bearer igk_none"),)) == INVALID


def test_an_operator_has_no_more_tasks_than_others(world):
    task = world.create(prompt="a lighthouse")
    operator = as_person(role="operator")

    for method, request in (
        ("GetTask", pb.GetTaskRequest(task_id=task.id)),
        ("CancelTask", pb.CancelTaskRequest(task_id=task.id)),
        ("WatchTask", pb.WatchTaskRequest(task_id=task.id)),
    ):
        assert outcome(world, method, request, operator) == NOT_FOUND
    assert world.first.stub.ListTasks(pb.ListTasksRequest(), metadata=operator, timeout=WAIT).tasks == []


@pytest.mark.parametrize("metadata", [(), as_person(), as_person(scope="read"), as_service("gateway", "generation")])
def test_anybody_may_see_the_models(world, metadata):
    assert world.first.stub.ListModels(pb.ListModelsRequest(), metadata=metadata, timeout=WAIT).models


@pytest.mark.parametrize(
    ("metadata", "answer"),
    [(as_person(expires_in=-1), ("UNAUTHENTICATED", "TOKEN_EXPIRED")), (as_person(scope="generate"), SCOPE_MISSING)],
)
def test_a_bad_token_is_refused_even_where_none_is_needed(world, metadata, answer):
    assert outcome(world, "ListModels", pb.ListModelsRequest(), metadata) == answer


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("GetTask", pb.GetTaskRequest(task_id="7"), "task_id"),
        ("CancelTask", pb.CancelTaskRequest(task_id=""), "task_id"),
        ("WatchTask", pb.WatchTaskRequest(task_id="7"), "task_id"),
        ("WatchTask", pb.WatchTaskRequest(task_id=str(uuid7()), cursor="c" * 129), "cursor"),
        ("ListTasks", pb.ListTasksRequest(page_size=101), "page_size"),
        ("ListTasks", pb.ListTasksRequest(page_size=-1), "page_size"),
        ("SuggestPrompts", pb.SuggestPromptsRequest(page_size=21), "page_size"),
        ("SuggestPrompts", pb.SuggestPromptsRequest(text="x" * 2001), "text"),
    ],
)
def test_a_field_that_breaks_the_contract_is_named(world, method, request_, field):
    with pytest.raises(grpc.RpcError) as caught:
        list(getattr(world.first.stub, method)(request_, metadata=as_person(world.me), timeout=WAIT))

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert fields(caught.value) == [field]
