"""Spans of calls, on both sides of them, and what becomes of them when nobody collects them."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import grpc
import pytest
from imagegen.generation.v1 import error_reason_pb2 as reasons
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc
from imagegen.results.v1 import store_service_pb2 as store_pb
from imagegen.results.v1 import store_service_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from services.runtime import tracing
from services.runtime.channels import Peer, aio_channel, channel
from services.runtime.errors import DependencyUnavailable, ErrorTable
from services.runtime.server import Server
from services.runtime.tokens import ServiceIdentity
from tests.deploy.waiting import wait_until
from tests.identities import as_person, verifier
from tests.runtime.test_calls import TASK, TaskNotFound
from tests.serving import running, stand_in
from tests.traces.otlp import collecting
from tests.traces.recording import recording

SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"]
GET_TASK = "imagegen.generation.v1.GenerationService/GetTask"
REQUEST = pb.GetTaskRequest(task_id=TASK)
ERRORS = ErrorTable(
    "generation.imagegen",
    reasons.ErrorReason,
    {TaskNotFound: (grpc.StatusCode.NOT_FOUND, reasons.ERROR_REASON_TASK_NOT_FOUND)},
)


class Servicer(generation_service_pb2_grpc.GenerationServiceServicer):
    """GetTask raises `error`, or waits for ever if it is told to; `left` is set when a caller of it goes away."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.waits = False
        self.arrived, self.left = threading.Event(), threading.Event()

    async def GetTask(self, request, context):
        self.arrived.set()
        try:
            if self.waits:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        if self.error is not None:
            raise self.error
        return pb.GetTaskResponse()


@pytest.fixture
def spans():
    with recording() as spans:
        yield spans


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def address(servicer) -> Iterator[str]:
    server = Server(
        [SERVICE],
        lambda server: generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server),
        verifier=verifier("generation"),
        errors=ERRORS,
        threads=2,
    )
    with running(server) as address:
        yield address


def get_task(address: str, metadata=None) -> grpc.StatusCode:
    """From a thread, for somebody."""
    with channel(address) as opened, tracing.span("request", parent=""):
        stub = generation_service_pb2_grpc.GenerationServiceStub(opened)
        try:
            stub.GetTask(REQUEST, metadata=metadata or as_person(), timeout=10)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def both_sides(spans) -> tuple[ReadableSpan, ReadableSpan]:
    """The client's and the server's, which is the other's child."""

    def found() -> dict[SpanKind, ReadableSpan]:
        return {span.kind: span for span in spans.get_finished_spans() if span.name == GET_TASK}

    wait_until(lambda: len(found()) == 2)  # the server's ends a moment after the client has its answer
    client, server = found()[SpanKind.CLIENT], found()[SpanKind.SERVER]
    assert server.parent.span_id == client.context.span_id
    assert server.context.trace_id == client.context.trace_id
    return client, server


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, (grpc.StatusCode.OK, False, False)),
        (TaskNotFound("a prompt, say"), (grpc.StatusCode.NOT_FOUND, True, False)),
        (DependencyUnavailable("a prompt, say"), (grpc.StatusCode.UNAVAILABLE, True, True)),
        (ValueError("a prompt, say"), (grpc.StatusCode.INTERNAL, True, True)),
    ],
)
def test_an_answer_is_told_by_its_code_and_never_by_its_text(spans, servicer, address, error, told):
    code, *errors = told
    servicer.error = error
    assert get_task(address) is code
    for span, is_error in zip(both_sides(spans), errors, strict=True):
        assert span.attributes["rpc.grpc.status_code"] == code.value[0]
        assert span.attributes.get("error.type") == (code.name if is_error else None)
        assert span.status.status_code is (StatusCode.ERROR if is_error else StatusCode.UNSET)
        assert "prompt" not in span.to_json()


def test_a_call_from_an_event_loop_is_told_like_one_from_a_thread(spans, servicer, address):
    servicer.error = TaskNotFound()

    async def call() -> grpc.StatusCode:
        async with aio_channel(address) as opened:
            stub = generation_service_pb2_grpc.GenerationServiceStub(opened)
            with tracing.span("request", parent=""), pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetTask(REQUEST, metadata=as_person(), timeout=10)
            return caught.value.code()

    assert asyncio.run(call()) is grpc.StatusCode.NOT_FOUND
    client, _ = both_sides(spans)
    assert client.attributes["error.type"] == "NOT_FOUND"


def test_a_caller_who_leaves_still_takes_the_call_along(spans, servicer, address):
    servicer.waits = True

    async def leave() -> None:
        async with aio_channel(address) as opened:
            stub = generation_service_pb2_grpc.GenerationServiceStub(opened)
            with tracing.span("request", parent=""):
                task = asyncio.ensure_future(stub.GetTask(REQUEST, metadata=as_person(), timeout=10))
                await asyncio.to_thread(servicer.arrived.wait, 10)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.to_thread(servicer.left.wait, 5)

    asyncio.run(leave())
    assert servicer.left.is_set()


def test_an_upload_is_told_by_one_span_however_many_messages_it_has(spans):
    class Store(store_service_pb2_grpc.StoreServiceServicer):
        def StoreResult(self, requests, context):
            self.parent = dict(context.invocation_metadata())["traceparent"]
            assert len(list(requests)) == 3
            return store_pb.StoreResultResponse()

    servicer = Store()
    with (
        stand_in(lambda server: store_service_pb2_grpc.add_StoreServiceServicer_to_server(servicer, server)) as address,
        channel(address) as opened,
        tracing.span("request", parent=""),
    ):
        store_service_pb2_grpc.StoreServiceStub(opened).StoreResult(iter([store_pb.StoreResultRequest()] * 3))
    [span, _] = spans.get_finished_spans()
    assert span.name == "imagegen.results.v1.StoreService/StoreResult"
    assert servicer.parent.split("-")[2] == f"{span.context.span_id:016x}"


def test_what_a_process_does_of_itself_is_told_by_neither_side(spans, address):
    peer = Peer(ServiceIdentity("gateway", os.urandom(32).hex()[:43]), "generation")
    carried = dict(peer.metadata())["traceparent"]
    with channel(address) as opened:
        stub = generation_service_pb2_grpc.GenerationServiceStub(opened)
        metadata = (*as_person(), ("traceparent", carried))
        assert stub.GetTask(REQUEST, metadata=metadata, timeout=10) == pb.GetTaskResponse()
    assert spans.get_finished_spans() == ()


def test_a_trace_that_the_client_does_not_record_is_not_told(spans, address):
    with channel(address) as opened:
        stub = generation_service_pb2_grpc.GenerationServiceStub(opened)
        parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
        stub.GetTask(REQUEST, metadata=(*as_person(), parent), timeout=10)
    assert spans.get_finished_spans() == ()


EXPORTING = """
from services.runtime import tracing
from services.runtime.process import start_process

start_process("generation")
for _ in range({spans}):
    with tracing.span("work", parent=""):
        pass
print("recorded" if tracing.is_recording() else "not recorded")
"""


def is_recorded(spans: int, **environment: str) -> bool:
    """What a process says that makes so many spans and ends; the SDK alone would hold its end up for 30 s."""
    command = [sys.executable, "-c", EXPORTING.format(spans=spans)]
    given = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    run = subprocess.run(command, env={**given, **environment}, capture_output=True, text=True, timeout=25, check=True)
    return "recorded" in run.stdout.splitlines()


def test_without_a_collector_nothing_is_recorded():
    assert not is_recorded(1)


def test_a_collector_that_does_not_answer_holds_no_process_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert is_recorded(3000, OTEL_EXPORTER_OTLP_ENDPOINT=url)


@pytest.mark.parametrize(
    ("environment", "name"), [({}, "generation"), ({"OTEL_SERVICE_NAME": "pictures"}, "pictures")], ids=["own", "given"]
)
def test_a_process_is_called_by_its_name_unless_it_is_given_another(environment, name):
    with collecting() as collector:
        assert is_recorded(1, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **environment)
        assert {span.service for span in collector.spans} == {name}
