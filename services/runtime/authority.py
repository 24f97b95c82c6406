"""What only auth knows of people's tokens, fetched from it and kept: tokens go on being verified while auth is away."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from datetime import UTC, datetime
from uuid import UUID

import grpc
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from imagegen.auth.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    identity_service_pb2,
    identity_service_pb2_grpc,
)

from services.runtime.channels import Peer, aio_channel
from services.runtime.errors import DependencyUnavailable, TokenExpired, TokenInvalid, TokenRevoked, reason_of
from services.runtime.protos import from_timestamp
from services.runtime.revocations import Revocations
from services.runtime.tokens import decode_key

log = structlog.get_logger()

CALL_SECONDS = 2.0

SECONDS_BETWEEN_FETCHES = 1.0
"""Key ids that nobody knows cost auth at most one call a second from this process."""

RETRY_SECONDS = 0.3
"""Between two tries to follow auth's revocations: what is revoked meanwhile is late by that much."""

EXCHANGED_KEYS = 10_000
"""API keys whose tokens are kept; the one that was used longest ago makes room."""

REFUSALS = {"TOKEN_INVALID": TokenInvalid, "TOKEN_EXPIRED": TokenExpired, "TOKEN_REVOKED": TokenRevoked}


class RemoteAuthority:
    """auth, for every process but auth."""

    def __init__(self, auth_address: str, peer: Peer) -> None:
        self.revocations = Revocations()
        self._address = auth_address
        self._peer = peer
        self._channel: grpc.aio.Channel | None = None
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._fetched = -SECONDS_BETWEEN_FETCHES
        self._fetching: asyncio.Lock | None = None
        self._exchanged: OrderedDict[bytes, tuple[str, datetime]] = OrderedDict()

    async def public_key(self, kid: str) -> Ed25519PublicKey | None:
        """The key, or None if auth does not list it. A new one is known within a second of its first token.

        Raises DependencyUnavailable if the key is not known yet and auth does not answer.
        """
        if kid not in self._keys:
            self._fetching = self._fetching or asyncio.Lock()
            arrived = time.monotonic()
            async with self._fetching:
                if kid not in self._keys and self._fetched < arrived:
                    await asyncio.sleep(self._fetched + SECONDS_BETWEEN_FETCHES - time.monotonic())
                    await self._fetch()
        return self._keys.get(kid)

    async def exchange(self, api_key: str) -> str:
        known = hashlib.sha256(api_key.encode()).digest()
        token, expiry = self._exchanged.get(known, ("", datetime.min.replace(tzinfo=UTC)))
        if expiry <= datetime.now(UTC):
            token, expiry = await self._exchange(api_key)
            self._exchanged[known] = token, expiry
            if len(self._exchanged) > EXCHANGED_KEYS:
                self._exchanged.popitem(last=False)
        self._exchanged.move_to_end(known)
        return token

    async def follow(self) -> None:
        while True:
            stub: identity_service_pb2_grpc.IdentityServiceAsyncStub
            stub = identity_service_pb2_grpc.IdentityServiceStub(self._connected())
            call = stub.WatchRevocations(
                identity_service_pb2.WatchRevocationsRequest(), metadata=self._peer.metadata(), wait_for_ready=True
            )
            try:
                async for message in call:
                    revoked = {UUID(one.sid): from_timestamp(one.expire_time) for one in message.revocations}
                    self.revocations.add(revoked)
            except grpc.RpcError as error:
                # The last known set holds; the first message of the next stream has what was missed.
                log.info("auth's revocations are not followed just now", code=error.code().name)
            await asyncio.sleep(RETRY_SECONDS)

    async def _fetch(self) -> None:
        stub: auth_service_pb2_grpc.AuthServiceAsyncStub = auth_service_pb2_grpc.AuthServiceStub(self._connected())
        try:
            answer = await stub.GetJwks(auth_service_pb2.GetJwksRequest(), timeout=CALL_SECONDS, wait_for_ready=True)
        except grpc.RpcError as error:
            raise DependencyUnavailable("auth") from error
        self._fetched = time.monotonic()
        self._keys = {key.kid: Ed25519PublicKey.from_public_bytes(decode_key(key.x)) for key in answer.keys}

    async def _exchange(self, api_key: str) -> tuple[str, datetime]:
        stub: identity_service_pb2_grpc.IdentityServiceAsyncStub
        stub = identity_service_pb2_grpc.IdentityServiceStub(self._connected())
        request = identity_service_pb2.ExchangeApiKeyRequest(api_key=api_key)
        try:
            answer = await stub.ExchangeApiKey(
                request, timeout=CALL_SECONDS, metadata=self._peer.metadata(), wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            refusal = REFUSALS.get(reason_of(error))
            raise (refusal() if refusal else DependencyUnavailable("auth")) from error
        return answer.access_token, from_timestamp(answer.expire_time)

    def _connected(self) -> grpc.aio.Channel:
        """Made when first needed: a channel belongs to the loop that runs then."""
        if self._channel is None:
            self._channel = aio_channel(self._address)
        return self._channel
