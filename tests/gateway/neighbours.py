"""Stand-ins of the services behind the gateway: they answer what a test lays down and remember what they were asked."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from imagegen.auth.v1 import auth_service_pb2, auth_service_pb2_grpc
from imagegen.executor.v1 import operator_service_pb2, operator_service_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2, generation_service_pb2_grpc
from imagegen.results.v1 import (
    results_service_pb2,
    results_service_pb2_grpc,
    share_service_pb2,
    share_service_pb2_grpc,
    storage_service_pb2,
    storage_service_pb2_grpc,
)

from services.runtime.errors import pack
from tests.serving import health, stand_in


class Refusal(Exception):
    """Ends a call as one of our services would: with ErrorInfo, BadRequest and RetryInfo; without a reason, bare."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str = "",
        *,
        message: str = "because",
        metadata: Mapping[str, str] | None = None,
        fields: Sequence[tuple[str, str]] = (),
        retry_after: float = 0,
    ) -> None:
        self.status = status_pb2.Status(code=code.value[0], message=message)
        if reason:
            self.status.details.append(
                pack(error_details_pb2.ErrorInfo(reason=reason, domain="test", metadata=metadata))
            )
        if fields:
            violations = [error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in fields]
            self.status.details.append(pack(error_details_pb2.BadRequest(field_violations=violations)))
        if retry_after:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(int(retry_after * 1000))
            self.status.details.append(pack(retry))


@dataclass(frozen=True)
class Asked:
    """One call that a stand-in has received."""

    method: str
    message: Any
    metadata: dict[str, str]
    seconds_left: float | None


Answer = Callable[[Any, grpc.ServicerContext], Any]


class Neighbour:
    """`answers[method]` is a message, a list of messages (a stream), a Refusal, or a function of the call."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[Asked] = []
        self.health = health()

    def reset(self) -> None:
        self.answers.clear()
        self.asked.clear()
        self.health.set("", health_pb2.HealthCheckResponse.SERVING)

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def take(self, method: str, message: Any, context: grpc.ServicerContext) -> Any:
        self.asked.append(Asked(method, message, dict(context.invocation_metadata()), context.time_remaining()))
        answer = self.answers[method]
        try:
            answer = answer(message, context) if callable(answer) else answer
            if isinstance(answer, Refusal):
                raise answer
        except Refusal as refusal:
            context.abort_with_status(rpc_status.to_status(refusal.status))
        return answer


class Script:
    """A watch that a test writes while it goes; `None` ends it."""

    def __init__(self, event: Callable[..., Any] = generation_service_pb2.WatchTaskResponse) -> None:
        self._event = event
        self._events: queue.Queue[Any] = queue.Queue()
        self.began = threading.Event()
        self.ended = threading.Event()

    def say(self, **fields: Any) -> None:
        self._events.put(self._event(**fields))

    def end(self) -> None:
        self._events.put(None)

    def __call__(self, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        def end() -> None:
            self.ended.set()
            self.end()

        context.add_callback(end)
        self.began.set()
        return iter(self._events.get, None)


def _servicer(neighbour: Neighbour, generated: type, service: Any) -> Any:
    def unary(name: str) -> Any:
        return lambda _self, message, context: neighbour.take(name, message, context)

    def stream(name: str) -> Any:
        def call(_self: Any, message: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                yield from neighbour.take(name, message, context)
            except Refusal as refusal:
                context.abort_with_status(rpc_status.to_status(refusal.status))

        return call

    methods = {m.name: (stream if m.server_streaming else unary)(m.name) for m in service.methods}
    return type("StandIn", (generated,), methods)()


@dataclass(frozen=True)
class Neighbours:
    auth: Neighbour
    generation: Neighbour
    results: Neighbour
    executor: Neighbour


@contextmanager
def neighbours() -> Iterator[tuple[Neighbours, dict[str, str]]]:
    """The four stand-ins, serving, and their addresses."""
    contracts = {
        "auth": [(auth_service_pb2, auth_service_pb2_grpc, "AuthService")],
        "generation": [(generation_service_pb2, generation_service_pb2_grpc, "GenerationService")],
        "results": [
            (results_service_pb2, results_service_pb2_grpc, "ResultsService"),
            (share_service_pb2, share_service_pb2_grpc, "ShareService"),
            (storage_service_pb2, storage_service_pb2_grpc, "StorageService"),
        ],
        "executor": [(operator_service_pb2, operator_service_pb2_grpc, "OperatorService")],
    }
    made, addresses = {}, {}
    with ExitStack() as stack:
        for name, spoken in contracts.items():
            neighbour = Neighbour()

            def register(server: grpc.Server, spoken=spoken, it=neighbour):
                for messages, services, service in spoken:
                    generated, described = getattr(services, f"{service}Servicer"), messages.DESCRIPTOR.services_by_name
                    servicer = _servicer(it, generated, described[service])
                    getattr(services, f"add_{service}Servicer_to_server")(servicer, server)
                health_pb2_grpc.add_HealthServicer_to_server(it.health, server)

            made[name] = neighbour
            addresses[f"{name}_address"] = stack.enter_context(stand_in(register))
        yield Neighbours(**made), addresses
