"""What every call passes through, shown on one servicer of GenerationService."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import grpc
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from imagegen.executor.v1 import operator_service_pb2 as operator_pb
from imagegen.executor.v1 import operator_service_pb2_grpc
from imagegen.generation.v1 import error_reason_pb2 as reasons
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc, task_pb2
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from services.runtime.calls import client_address, person, person_or_none
from services.runtime.errors import DependencyUnavailable, ErrorTable
from services.runtime.requests import request_id
from services.runtime.server import Server
from services.runtime.tracing import traceparent
from tests.deploy.waiting import wait_until
from tests.grpc_errors import fields, reason, retry_seconds
from tests.identities import as_person, as_service, verifier
from tests.serving import running

TASK = "01890000-0000-7000-8000-000000000000"
SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"]


class TaskNotFound(Exception):
    pass


ERRORS = ErrorTable(
    "generation.imagegen",
    reasons.ErrorReason,
    {TaskNotFound: (grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_TASK_NOT_FOUND)},
)


class Servicer(generation_service_pb2_grpc.GenerationServiceServicer):
    """GetTask raises `error`, or answers who asked in which thread; WatchTask goes on for ever."""

    error: Exception | None = None
    trace = ""
    address = ""

    def GetTask(self, request, context):
        if self.error is not None:
            raise self.error
        name = threading.current_thread().name
        task = task_pb2.Task(id=request.task_id, model=name, prompt=str(person().user_id), negative_prompt=request_id())
        return pb.GetTaskResponse(task=task)

    def CreateTask(self, request, context):
        return pb.CreateTaskResponse(task=task_pb2.Task(id=TASK))

    def ListModels(self, request, context):
        assert person_or_none() is None
        self.trace, self.address = traceparent(), client_address()
        return pb.ListModelsResponse()

    async def WatchTask(self, request, context):
        import asyncio

        yield pb.WatchTaskResponse(cursor="first")
        await asyncio.Event().wait()


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def server(servicer) -> Server:
    return Server(
        [SERVICE],
        lambda server: generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server),
        verifier=verifier("generation"),
        errors=ERRORS,
        threads=2,
    )


@pytest.fixture
def channel(server) -> Iterator[grpc.Channel]:
    with running(server) as address, grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return generation_service_pb2_grpc.GenerationServiceStub(channel)


def get_task(stub, metadata=None, task_id=TASK):
    return stub.GetTask(pb.GetTaskRequest(task_id=task_id), metadata=as_person() if metadata is None else metadata)


def refused(stub, metadata=None, task_id=TASK) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        get_task(stub, metadata, task_id)
    return caught.value


UNSIGNED = jwt.encode({"sub": TASK, "sid": TASK, "aud": "imagegen", "exp": 4e9}, "", "none", headers={"kid": "test"})


@pytest.mark.parametrize(
    ("metadata", "code", "expected"),
    [
        ((), "UNAUTHENTICATED", "TOKEN_MISSING"),
        ((("authorization", "Basic YTpi"),), "UNAUTHENTICATED", "TOKEN_MISSING"),
        ((("authorization", "Bearer rubbish"),), "UNAUTHENTICATED", "TOKEN_INVALID"),
        ((("authorization", f"Bearer {UNSIGNED}"),), "UNAUTHENTICATED", "TOKEN_INVALID"),
        (as_person(expires_in=-1), "UNAUTHENTICATED", "TOKEN_EXPIRED"),
        (as_person(audience="elsewhere"), "UNAUTHENTICATED", "TOKEN_INVALID"),
        (as_service("gateway", "generation"), "PERMISSION_DENIED", "CALLER_NOT_ALLOWED"),
        (as_service("gateway", "results"), "UNAUTHENTICATED", "TOKEN_INVALID"),
    ],
)
def test_a_caller_who_may_not_call_is_told_why(stub, metadata, code, expected):
    error = refused(stub, metadata)
    assert (error.code().name, reason(error)) == (code, expected)


def test_a_bad_token_is_refused_even_where_none_is_needed(stub):
    assert stub.ListModels(pb.ListModelsRequest()) == pb.ListModelsResponse()
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListModels(pb.ListModelsRequest(), metadata=as_person(expires_in=-1))
    assert reason(caught.value) == "TOKEN_EXPIRED"


def test_a_plain_handler_runs_on_the_thread_pool_and_knows_its_caller(stub):
    from uuid import uuid4

    user_id = uuid4()
    task = get_task(stub, as_person(user_id)).task
    assert task.model.startswith("call")
    assert task.prompt == str(user_id)


@pytest.mark.parametrize(("sent", "is_kept"), [("abc-1", True), ("two words", False), ("x" * 129, False)])
def test_a_sane_request_id_is_kept_and_any_other_replaced(stub, sent, is_kept):
    seen = get_task(stub, (*as_person(), ("x-request-id", sent))).task.negative_prompt
    assert (seen == sent) is is_kept
    assert seen


def test_a_field_that_breaks_its_rule_is_named(stub):
    error = refused(stub, task_id="no uuid")
    assert (error.code().name, reason(error), fields(error)) == ("INVALID_ARGUMENT", "INVALID_FIELD", ["task_id"])


def test_every_broken_field_is_named(stub):
    request = pb.CreateTaskRequest(prompt=" ", model="", seed=-1, count=5)
    with pytest.raises(grpc.RpcError) as caught:
        stub.CreateTask(request, metadata=as_person())
    assert fields(caught.value) == ["prompt", "model", "seed", "count"]


def test_a_listed_error_is_answered_with_its_code_and_reason(servicer, stub):
    servicer.error = TaskNotFound("no such task")
    error = refused(stub)
    assert (error.code().name, reason(error), error.details()) == ("NOT_FOUND", "TASK_NOT_FOUND", "no such task")


def test_an_error_that_is_not_listed_says_nothing_of_itself(servicer, stub, capsys):
    servicer.error = ValueError("a prompt, say")
    error = refused(stub)
    assert error.code().name == "INTERNAL"
    assert "a prompt" not in error.details() + capsys.readouterr().out


def test_what_is_away_is_unavailable_and_worth_a_retry(servicer, stub):
    servicer.error = DependencyUnavailable("the database")
    error = refused(stub)
    assert (error.code().name, reason(error), retry_seconds(error)) == ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", 1.0)


def test_a_stream_ends_when_its_token_does(stub):
    events = stub.WatchTask(pb.WatchTaskRequest(task_id=TASK), metadata=as_person(expires_in=1.2), timeout=10)
    assert next(events).cursor == "first"
    with pytest.raises(grpc.RpcError) as caught:
        next(events)
    assert reason(caught.value) == "TOKEN_EXPIRED"


def test_a_server_that_stops_ends_its_streams_so_that_clients_resume_elsewhere(server):
    with running(server) as address:
        channel = grpc.insecure_channel(address)
        stub = generation_service_pb2_grpc.GenerationServiceStub(channel)
        events = stub.WatchTask(pb.WatchTaskRequest(task_id=TASK), metadata=as_person(), timeout=10)
        next(events)
    with channel, pytest.raises(grpc.RpcError) as caught:
        next(events)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def lines_of(call) -> list[dict]:
    with capture_logs(processors=[merge_contextvars]) as lines:
        with suppress(grpc.RpcError):
            call()
        wait_until(lambda: [line for line in lines if line["event"] == "call"])
    return lines


def test_the_lines_of_a_call_name_the_task_that_it_asks_for_or_makes(servicer, stub):
    def watch() -> None:
        events = stub.WatchTask(pb.WatchTaskRequest(task_id=TASK), metadata=as_person(), timeout=10)
        next(events)
        events.cancel()

    def create() -> None:
        stub.CreateTask(pb.CreateTaskRequest(prompt="x", model="sd15", request_id="y"), metadata=as_person())

    asked = [lines_of(lambda: get_task(stub)), lines_of(create), lines_of(watch)]
    servicer.error = ValueError("broken")
    asked.append(lines_of(lambda: get_task(stub)))
    assert [[line["event"] for line in lines] for lines in asked] == [*[["call"]] * 3, ["unexpected error", "call"]]
    assert {line["task_id"] for lines in asked for line in lines} == {TASK}


def test_what_is_no_id_is_not_logged_as_one(stub):
    [line] = lines_of(lambda: get_task(stub, task_id="a lighthouse"))
    assert line["code"] == "INVALID_ARGUMENT"
    assert "lighthouse" not in str(line)


def test_health_is_told_for_the_server_and_for_the_service(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE.full_name):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(channel):
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request])))
    assert SERVICE.full_name in {service.name for service in answer.list_services_response.service}


def test_a_key_may_call_what_it_has_the_scope_for(stub):
    assert get_task(stub, as_person(scope="read"))
    assert get_task(stub, as_person(scope="share read generate"))


@pytest.mark.parametrize("scope", ["generate", "share admin", "", "reader"])
def test_a_key_without_the_scope_is_refused(stub, scope):
    error = refused(stub, as_person(scope=scope, role="operator"))
    assert (error.code().name, reason(error)) == ("PERMISSION_DENIED", "SCOPE_MISSING")


OPERATORS = operator_pb.DESCRIPTOR.services_by_name["OperatorService"]


class Operators(operator_service_pb2_grpc.OperatorServiceServicer):
    def ListOwners(self, request, context):
        return operator_pb.ListOwnersResponse()


@pytest.fixture
def operators():
    server = Server(
        [OPERATORS],
        lambda server: operator_service_pb2_grpc.add_OperatorServiceServicer_to_server(Operators(), server),
        verifier=verifier("executor"),
        errors=ERRORS,
        threads=2,
    )
    with running(server) as address, grpc.insecure_channel(address) as channel:
        yield operator_service_pb2_grpc.OperatorServiceStub(channel)


@pytest.mark.parametrize(
    "metadata",
    [as_person(role="operator"), as_person(role="operator", scope="admin"), as_service("operator", "executor")],
    ids=["an operator", "a key for operators", "the operator's own service"],
)
def test_an_operator_is_let_in(operators, metadata):
    assert operators.ListOwners(operator_pb.ListOwnersRequest(), metadata=metadata) == operator_pb.ListOwnersResponse()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (as_person(), "CALLER_NOT_ALLOWED"),
        (as_person(role="OPERATOR"), "CALLER_NOT_ALLOWED"),
        (as_person(scope="admin"), "CALLER_NOT_ALLOWED"),
        (as_person(role="operator", scope="generate read share"), "SCOPE_MISSING"),
        (as_service("gateway", "executor"), "CALLER_NOT_ALLOWED"),
    ],
    ids=["a user", "another spelling", "a user's key", "an operator's key without the scope", "another service"],
)
def test_nobody_else_is_an_operator(operators, metadata, expected):
    with pytest.raises(grpc.RpcError) as caught:
        operators.ListOwners(operator_pb.ListOwnersRequest(), metadata=metadata)
    assert (caught.value.code().name, reason(caught.value)) == ("PERMISSION_DENIED", expected)


TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_trace_is_continued_by_the_calls_own_span(servicer, stub):
    stub.ListModels(pb.ListModelsRequest(), metadata=(("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),))
    version, trace, span, flags = servicer.trace.split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span != "b7ad6b7169203331"


@pytest.mark.parametrize("sent", ["", "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE}-{'0' * 16}-01"])
def test_a_call_that_is_in_no_trace_begins_one(servicer, stub, sent):
    stub.ListModels(pb.ListModelsRequest(), metadata=(("traceparent", sent),) if sent else ())
    version, trace, span, flags = servicer.trace.split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "00")
    assert trace not in (TRACE, "0" * 32)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        (["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
        (["203.0.113.9", "2001:db8::1"], "2001:db8::1"),
        ([""], "127.0.0.1"),
        ([], "127.0.0.1"),
    ],
    ids=["one", "the last", "of the last line", "empty", "none: the peer"],
)
def test_the_address_of_a_call_is_the_one_that_the_door_wrote(servicer, stub, forwarded, address):
    stub.ListModels(pb.ListModelsRequest(), metadata=[("x-forwarded-for", value) for value in forwarded])
    assert servicer.address == address
