"""How a gRPC service starts, listens and stops."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from services.runtime.calls import CallInterceptor
from services.runtime.channels import MAX_MESSAGE_BYTES
from services.runtime.errors import ErrorTable
from services.runtime.settings import Certificates, ProcessSettings, TlsSettings
from services.runtime.tokens import TokenVerifier

log = structlog.get_logger()

STOP_GRACE_SECONDS = 10.0
"""Calls in flight may take this long, downloads too; what is watched ends at once, and its clients resume elsewhere."""

SERVER_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


class Server:
    """One gRPC server with health and reflection; every call passes the `CallInterceptor`.

    `register` adds the servicers of `services` to the server.
    """

    def __init__(
        self,
        services: Sequence[ServiceDescriptor],
        register: Callable[[grpc.aio.Server], None],
        *,
        verifier: TokenVerifier,
        errors: ErrorTable,
        threads: int,
    ) -> None:
        self._services = services
        self._register = register
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._interceptor = CallInterceptor(list(services), verifier, errors, self._threads)
        self._authority = verifier.authority
        self._following: asyncio.Task[None] | None = None
        self._health = health_aio.HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def start(self, listen: str) -> int:
        """Listen on `host:port` (port 0: any) and return the port. Health says SERVING from here on.

        Where certificates are given (`TlsSettings`), only who shows one of the same authority is let in.
        """
        server = grpc.aio.server(interceptors=[self._interceptor], options=SERVER_OPTIONS)
        self._register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [service.full_name for service in self._services]
        reflection.enable_server_reflection([*names, HEALTH, reflection.SERVICE_NAME], server)
        self._following = asyncio.create_task(self._authority.follow())
        credentials = _credentials(TlsSettings())
        port = server.add_secure_port(listen, credentials) if credentials else server.add_insecure_port(listen)
        await server.start()
        for name in ["", *names]:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._server = server
        return port

    async def stop(self, grace: float = STOP_GRACE_SECONDS, *, drain: float = 0) -> None:
        """Say NOT_SERVING, serve on for `drain` seconds, end the watches, let calls finish within `grace` seconds."""
        assert self._server is not None
        assert self._following is not None
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(drain)
        self._following.cancel()
        self._interceptor.end_watches()
        await self._server.stop(grace)
        self._threads.shutdown(wait=False)

    async def serve(self, listen: str) -> None:
        """Listen until SIGTERM or SIGINT, then stop."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await self.start(listen)
        log.info("serving", listen=listen)
        await stopping.wait()
        await self.stop(drain=ProcessSettings().drain_seconds)


def _credentials(settings: TlsSettings) -> grpc.ServerCredentials | None:
    """Certificates are read anew for every connection: renewed ones need no restart."""
    first = settings.certificates()
    if first is None:
        return None
    known = _configuration(first)

    def current() -> grpc.ServerCertificateConfiguration:
        nonlocal known
        with suppress(OSError):  # while they are being replaced, the former ones go on
            known = _configuration(settings.certificates() or first)
        return known

    return grpc.dynamic_ssl_server_credentials(known, current, require_client_authentication=True)


def _configuration(ours: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(ours.key, ours.chain)], ours.ca)
