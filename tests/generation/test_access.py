"""Who may call: people, with their own token; of the models, anybody."""

import grpc
import pytest
from imagegen.generation.v1 import generation_service_pb2 as pb

from services.runtime.ids import uuid7
from tests.generation.conftest import WAIT
from tests.grpc_errors import fields, reason
from tests.identities import as_person, as_service

FOR_PEOPLE = [
    ("CreateTask", pb.CreateTaskRequest(prompt="a lighthouse", model="sd15")),
    ("GetTask", pb.GetTaskRequest(task_id=str(uuid7()))),
    ("ListTasks", pb.ListTasksRequest()),
    ("CancelTask", pb.CancelTaskRequest(task_id=str(uuid7()))),
    ("WatchTask", pb.WatchTaskRequest(task_id=str(uuid7()))),
    ("SuggestPrompts", pb.SuggestPromptsRequest()),
]


def refused(world, method, request, metadata=()) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        answer = getattr(world.first.stub, method)(request, metadata=metadata, timeout=WAIT)
        list(answer)
    return caught.value.code(), reason(caught.value)


@pytest.mark.parametrize(("method", "request_"), FOR_PEOPLE)
def test_only_people_with_a_good_token_have_tasks(world, method, request_):
    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    expired, of_somewhere_else = as_person(expires_in=-1), as_person(audience="elsewhere")

    assert refused(world, method, request_) == (unauthenticated, "TOKEN_MISSING")
    assert refused(world, method, request_, expired) == (unauthenticated, "TOKEN_EXPIRED")
    assert refused(world, method, request_, of_somewhere_else) == (unauthenticated, "TOKEN_INVALID")
    assert refused(world, method, request_, as_service("gateway", "generation")) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "CALLER_NOT_ALLOWED",
    )


@pytest.mark.parametrize("metadata", [(), as_person(), as_service("gateway", "generation")])
def test_anybody_may_see_the_models(world, metadata):
    assert world.first.stub.ListModels(pb.ListModelsRequest(), metadata=metadata, timeout=WAIT).models


def test_a_bad_token_is_refused_even_where_none_is_needed(world):
    error = refused(world, "ListModels", pb.ListModelsRequest(), as_person(expires_in=-1))

    assert error == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


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
