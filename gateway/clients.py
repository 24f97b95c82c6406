"""Calls to the neighbours: every one carries the client's token and address and the request's id and trace, every unary
one a deadline.
"""

import asyncio
import re
from typing import Annotated, TypeVar

import grpc
from fastapi import Depends, Request
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imagegen.auth.v1 import auth_service_pb2_grpc
from imagegen.executor.v1 import operator_service_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2_grpc
from imagegen.results.v1 import results_service_pb2_grpc, share_service_pb2_grpc, storage_service_pb2_grpc

from gateway.origins import client_address
from services.runtime.channels import Metadata, aio_channel
from services.runtime.requests import request_id
from services.runtime.tracing import traceparent

DEADLINE_SECONDS = 5.0
"""Of a unary call."""

HEALTH_SECONDS = 0.8
"""Of a health check: Envoy gives the gateway one second to say whether it is ready."""

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)


class Neighbours:
    """The services behind the gateway, one channel each. To be made on the event loop that uses it."""

    def __init__(self, *, auth: str, generation: str, results: str, executor: str) -> None:
        channels = {
            name: aio_channel(at) for name, at in [("auth", auth), ("generation", generation), ("results", results)]
        }
        # Only operators ask it; whether it is there decides nothing about being ready.
        self._executor = aio_channel(executor)
        self.operator: operator_service_pb2_grpc.OperatorServiceAsyncStub = (
            operator_service_pb2_grpc.OperatorServiceStub(self._executor)
        )
        self.auth: auth_service_pb2_grpc.AuthServiceAsyncStub = auth_service_pb2_grpc.AuthServiceStub(channels["auth"])
        self.generation: generation_service_pb2_grpc.GenerationServiceAsyncStub = (
            generation_service_pb2_grpc.GenerationServiceStub(channels["generation"])
        )
        self.results: results_service_pb2_grpc.ResultsServiceAsyncStub = results_service_pb2_grpc.ResultsServiceStub(
            channels["results"]
        )
        self.shares: share_service_pb2_grpc.ShareServiceAsyncStub = share_service_pb2_grpc.ShareServiceStub(
            channels["results"]
        )
        self.storage: storage_service_pb2_grpc.StorageServiceAsyncStub = storage_service_pb2_grpc.StorageServiceStub(
            channels["results"]
        )
        self._channels = channels

    async def unready(self) -> list[str]:
        """Names of the neighbours that do not answer their gRPC health check with SERVING."""

        async def serves(channel: grpc.aio.Channel) -> bool:
            try:
                check = health_pb2_grpc.HealthStub(channel).Check
                answer = await check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

        answers = await asyncio.gather(*map(serves, self._channels.values()))
        return [name for name, good in zip(self._channels, answers, strict=True) if not good]

    async def close(self) -> None:
        for channel in (*self._channels.values(), self._executor):
            await channel.close()


class Calls:
    """The calls that one HTTP request makes."""

    def __init__(self, request: Request) -> None:
        neighbours: Neighbours = request.app.state.neighbours
        self.auth = neighbours.auth
        self.generation = neighbours.generation
        self.results = neighbours.results
        self.shares = neighbours.shares
        self.storage = neighbours.storage
        self.operator = neighbours.operator
        self.anonymous_metadata: Metadata = (
            ("x-request-id", request_id()),
            ("traceparent", traceparent()),
            ("x-forwarded-for", client_address(request)),
        )
        self._authorization = request.headers.get("authorization")

    @property
    def metadata(self) -> Metadata:
        """What the services are told of the client, with its Authorization header if it sent one."""
        if self._authorization is None:
            return self.anonymous_metadata
        # gRPC refuses metadata outside printable ASCII; no good token has any, so the service will refuse it.
        return (*self.anonymous_metadata, ("authorization", re.sub(r"[^ -~]", "?", self._authorization)))

    async def unary(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Asked, Answered],
        message: Asked,
        *,
        seconds: float = DEADLINE_SECONDS,
    ) -> Answered:
        """Raises grpc.aio.AioRpcError."""
        return await method(message, timeout=seconds, metadata=self.metadata)

    async def anonymous(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Asked, Answered],
        message: Asked,
        *,
        seconds: float = DEADLINE_SECONDS,
    ) -> Answered:
        """A call whose message says who calls. The client's access token stays out of it: a client that sends its
        expired token along with the refresh token must not be refused for that.

        Raises grpc.aio.AioRpcError.
        """
        return await method(message, timeout=seconds, metadata=self.anonymous_metadata)


CallsDependency = Annotated[Calls, Depends(Calls)]
