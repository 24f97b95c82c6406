"""Calls to neighbours: channels that reconnect fast, and the metadata that every call carries.

Where certificates are given (`TlsSettings`), a channel shows this process's own and believes a neighbour whose
certificate has the name that is dialled. It shows what was on disk when it was made.
"""

from collections.abc import Sequence

import grpc

from services.runtime.client_spans import LoopInterceptor, ThreadInterceptor
from services.runtime.requests import request_id
from services.runtime.settings import TlsSettings
from services.runtime.tokens import ServiceIdentity
from services.runtime.tracing import is_recording, traceparent, unrecorded

MAX_MESSAGE_BYTES = 4 * 1024 * 1024

CHANNEL_OPTIONS: Sequence[tuple[str, int | str]] = (
    # A neighbour that restarts is found again within a second; gRPC's own limit is two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A neighbour that froze is noticed on a quiet stream too.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Several addresses behind one name share the calls.
    ("grpc.lb_policy_name", "round_robin"),
    # Who says NOT_SERVING gets no more of them, though it still answers: it is about to stop.
    ("grpc.service_config", '{"healthCheckConfig": {"serviceName": ""}}'),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Processes run side by side on one address; each channel keeps its own connection.
    ("grpc.use_local_subchannel_pool", 1),
)

Metadata = tuple[tuple[str, str], ...]


def channel(address: str) -> grpc.Channel:
    """A channel for threads to `host:port`, or to several `ip:port` that share the calls, separated by commas."""
    target, options = _target(address)
    credentials = _credentials()
    if credentials is None:
        opened = grpc.insecure_channel(target, options=options)
    else:
        opened = grpc.secure_channel(target, credentials, options=options)
    return grpc.intercept_channel(opened, ThreadInterceptor()) if is_recording() else opened


def aio_channel(address: str) -> grpc.aio.Channel:
    """As `channel`, for the event loop."""
    target, options = _target(address)
    credentials = _credentials()
    spans = [LoopInterceptor()] if is_recording() else []
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=spans)
    return grpc.aio.secure_channel(target, credentials, options=options, interceptors=spans)


def _target(address: str) -> tuple[str, Sequence[tuple[str, int | str]]]:
    """As gRPC names it (doc/naming.md of gRPC), and the options for it."""
    first, _, others = address.partition(",")
    if not others:
        return address, CHANNEL_OPTIONS
    # The certificates are for the host; without this, the name to be proved would be the whole list.
    return f"ipv4:{address}", [*CHANNEL_OPTIONS, ("grpc.default_authority", first)]


def _credentials() -> grpc.ChannelCredentials | None:
    ours = TlsSettings().certificates()
    return None if ours is None else grpc.ssl_channel_credentials(ours.ca, ours.key, ours.chain)


class Peer:
    """How this process introduces itself to one neighbour."""

    def __init__(self, identity: ServiceIdentity, callee: str) -> None:
        self._identity = identity
        self._callee = callee

    def metadata(self) -> Metadata:
        """This process's service token, and id and trace of the request that is being served, if any.

        What a process does of itself is in a trace that nobody records.
        """
        token = ("authorization", f"Bearer {self._identity.token(self._callee)}")
        traced = (token, ("traceparent", traceparent() or unrecorded()))
        return (*traced, ("x-request-id", request_id())) if request_id() else traced
