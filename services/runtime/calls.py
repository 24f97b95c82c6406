"""What every call passes through, in one interceptor: request id, trace, caller, access, validation, errors, log,
metrics.

Handlers may be plain functions (unary calls that use the database: they run on the thread pool) or coroutines
and async generators (on the event loop). Both raise domain exceptions and never touch the context.
"""

import asyncio
import contextvars
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from urllib.parse import unquote

import grpc
import protovalidate
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status
from imagegen.runtime.v1 import access_pb2
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram

from services.runtime.errors import (
    INTERNAL,
    RUNTIME_ERRORS,
    CallerNotAllowed,
    DependencyUnavailable,
    ErrorTable,
    InvalidField,
    ScopeMissing,
    TokenExpired,
    TokenMissing,
)
from services.runtime.ids import uuid7
from services.runtime.logs import describe
from services.runtime.protos import from_enum
from services.runtime.requests import REQUEST_ID, about_task, working_for
from services.runtime.tokens import Caller, Person, Service, TokenVerifier
from services.runtime.tracing import answered, call_attributes

log = structlog.get_logger()

REQUESTS = Counter("imagegen_grpc_requests_total", "Calls by method and status code.", ["method", "code"])
SECONDS = Histogram("imagegen_grpc_request_seconds", "Duration of calls by method.", ["method"])

_caller: contextvars.ContextVar[Caller] = contextvars.ContextVar("caller", default=None)

_client_address: contextvars.ContextVar[str] = contextvars.ContextVar("client_address", default="")

Handler = Callable[[Any, Any], Any]

TASK_IDS = [attrgetter(path) for path in ("task_id", "job_id", "header.task_id", "task.id", "job.id")]
"""Where a message says which task it is about; a job's id is its task's."""


def person() -> Person:
    """The signed-in user of this call. Raises TokenMissing if nobody is signed in, CallerNotAllowed for a service."""
    match _caller.get():
        case Person() as who:
            return who
        case None:
            raise TokenMissing
        case _:
            raise CallerNotAllowed


def person_or_none() -> Person | None:
    """The signed-in user of this call, if there is one."""
    who = _caller.get()
    return who if isinstance(who, Person) else None


def service() -> str:
    """The name of the service that calls. Raises CallerNotAllowed for anybody else."""
    who = _caller.get()
    if not isinstance(who, Service):
        raise CallerNotAllowed
    return who.name


def client_address() -> str:
    """The address that this call came from, as the door wrote it at the end of `x-forwarded-for`, else the peer's.

    Empty if it has none, over a Unix socket say.
    """
    return _client_address.get()


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers of our own services; health and reflection pass through untouched."""

    def __init__(
        self,
        services: list[ServiceDescriptor],
        verifier: TokenVerifier,
        errors: ErrorTable,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._methods: Mapping[str, MethodDescriptor] = {
            f"/{service.full_name}/{method.name}": method for service in services for method in service.methods
        }
        self._verifier = verifier
        self._errors = errors
        self._threads = threads
        self._watches: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        method = self._methods.get(handler_call_details.method)
        if handler is None or method is None:
            return handler
        codecs = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), **codecs)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(self._unary(method, handler.stream_unary), **codecs)
        return grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), **codecs)

    def end_watches(self) -> None:
        """End every Watch… with UNAVAILABLE, so that its client resumes elsewhere. Other streams end by themselves."""
        self._stopping = True
        for task in self._watches:
            task.cancel()

    def _unary(self, method: MethodDescriptor, handler: Handler) -> Handler:
        async def call(request: Any, context: Any) -> Any:
            async def answer() -> Any:
                await self._admit(method, context)
                checked = _validated_stream(request) if method.client_streaming else _validated(request)
                if inspect.iscoroutinefunction(handler):
                    return await handler(checked, context)
                run = contextvars.copy_context().run
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self._threads, run, handler, checked, context)
                _note_task(answer)  # the request that makes a task cannot name it
                return answer

            return await self._observed(method, context, answer())

        return call

    def _stream(self, method: MethodDescriptor, handler: Handler) -> Handler:
        async def call(request: Any, context: Any) -> None:
            async def answer() -> None:
                caller = await self._admit(method, context)
                # A stream that ends while these are on their way cannot say why: grpc.aio would send them again.
                await context.send_initial_metadata(())
                async with self._lifetime(caller), aclosing(handler(_validated(request), context)) as messages:
                    async for message in messages:
                        await context.write(message)

            task = asyncio.current_task()
            assert task is not None
            if method.name.startswith("Watch"):
                self._watches.add(task)
            try:
                await self._observed(method, context, answer())
            finally:
                self._watches.discard(task)

        return call

    @asynccontextmanager
    async def _lifetime(self, caller: Caller) -> AsyncIterator[None]:
        """A stream lasts as long as its token. Raises TokenExpired or TokenRevoked when that ends."""
        if not isinstance(caller, Person):
            yield
            return
        remaining = (caller.expires - datetime.now(UTC)).total_seconds()
        try:
            with self._verifier.authority.revocations.ending(caller.session_id):
                async with asyncio.timeout(remaining) as lifetime:
                    yield
        except TimeoutError as error:
            if not lifetime.expired():
                raise
            raise TokenExpired from error

    async def _admit(self, method: MethodDescriptor, context: Any) -> Caller:
        """Who calls, if they may.

        Raises TokenMissing, TokenInvalid, TokenExpired, TokenRevoked, CallerNotAllowed or ScopeMissing.
        """
        access = method.GetOptions().Extensions[access_pb2.access]
        metadata = dict(context.invocation_metadata())
        forwarded = str(metadata.get("x-forwarded-for", "")).rpartition(",")[2].strip()
        _client_address.set(forwarded or _peer_address(context.peer()))
        authorization = str(metadata.get("authorization", ""))
        caller: Caller = None
        if authorization:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise TokenMissing
            caller = await self._verifier.verify(token.strip())
        match caller:
            case None if not access.anonymous:
                raise TokenMissing
            case Person() as who:
                _require_access(who, access)
            case Service(name) if name not in access.services and not access.anonymous:
                raise CallerNotAllowed
        _caller.set(caller)
        return caller

    async def _observed(self, method: MethodDescriptor, context: Any, answer: Awaitable[Any]) -> Any:
        """Await the answer; count it, log it, and turn what it raises into a status."""
        metadata = dict(context.invocation_metadata())
        sent = str(metadata.get("x-request-id", ""))
        request = sent if REQUEST_ID.fullmatch(sent) else str(uuid7())
        service = method.containing_service
        attributes = call_attributes(service.full_name, method.name)
        parent, name = str(metadata.get("traceparent", "")), f"{service.full_name}/{method.name}"
        with working_for(request, parent, name, SpanKind.SERVER, attributes) as span:
            began = time.monotonic()
            code = grpc.StatusCode.OK
            try:
                return await answer
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                if not self._stopping:
                    raise
                code = grpc.StatusCode.UNAVAILABLE
                task = asyncio.current_task()
                assert task is not None
                task.uncancel()
                await _abort(context, self._status(DependencyUnavailable("this replica")))
            except Exception as error:  # noqa: BLE001 - the one place where any error becomes a status
                status = self._status(error)
                code = next(known for known in grpc.StatusCode if known.value[0] == status.code)
                await _abort(context, status)
            finally:
                seconds = time.monotonic() - began
                known = f"{service.name}/{method.name}"
                REQUESTS.labels(known, code.name).inc()
                SECONDS.labels(known).observe(seconds)
                answered(span, code)
                log.info("call", method=known, code=code.name, seconds=round(seconds, 4))

    def _status(self, error: Exception) -> status_pb2.Status:
        status = self._errors.status(error) or RUNTIME_ERRORS.status(error)
        if status is None and isinstance(error, grpc.RpcError):
            log.warning("a neighbour did not answer", error=repr(error.code()))
            status = RUNTIME_ERRORS.status(DependencyUnavailable("a service that this one needs"))
        if status is None:
            log.error("unexpected error", **describe(error))
            status = INTERNAL
        return status


def _require_access(who: Person, access: access_pb2.Access) -> None:
    """Raises CallerNotAllowed or ScopeMissing."""
    if not (access.user or (access.operator and who.is_operator)):
        if access.anonymous:
            return
        raise CallerNotAllowed
    scope = from_enum(access_pb2.Scope, access.scope)
    if who.scopes is not None and scope not in who.scopes:
        raise ScopeMissing(scope or "")


def _peer_address(peer: str) -> str:
    """`ipv4:127.0.0.1:5000` → `127.0.0.1`, `ipv6:[::1]:5000` → `::1`; the brackets come percent-encoded."""
    kind, _, address = unquote(peer).partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""


async def _abort(context: Any, status: status_pb2.Status) -> None:
    await context.abort_with_status(rpc_status.to_status(status))


def _note_task(message: Message) -> None:
    for task_id in TASK_IDS:
        with suppress(AttributeError):
            about_task(task_id(message))


def _validated(message: Message) -> Message:
    """Raises InvalidField if the message breaks a rule of its contract."""
    _note_task(message)
    violations = protovalidate.collect_violations(message)
    if violations:
        raise InvalidField([(_path(violation.proto.field), violation.proto.message) for violation in violations])
    return message


async def _validated_stream(messages: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for message in messages:
        yield _validated(message)


def _path(path: Any) -> str:
    """`spec.seed`, `task_ids[2]`: a field path as BadRequest spells it."""
    steps = []
    for element in path.elements if path else []:
        index = element.subscript
        steps.append(element.field_name if index is None else f"{element.field_name}[{index.value}]")
    return ".".join(steps)
