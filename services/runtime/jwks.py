"""auth's public keys, fetched when first met and kept: tokens go on being verified while auth is away."""

import asyncio
import time

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from imagegen.auth.v1 import auth_service_pb2, auth_service_pb2_grpc

from services.runtime.channels import aio_channel
from services.runtime.errors import DependencyUnavailable
from services.runtime.tokens import decode_key

MIN_SECONDS_BETWEEN_FETCHES = 1.0
"""A key id that nobody knows costs auth at most one call a second from this process."""


class JwksCache:
    """Key id → Ed25519 public key."""

    def __init__(self, auth_address: str) -> None:
        self._address = auth_address
        self._stub: auth_service_pb2_grpc.AuthServiceAsyncStub | None = None
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._fetched = -MIN_SECONDS_BETWEEN_FETCHES
        self._lock: asyncio.Lock | None = None

    async def get(self, kid: str) -> Ed25519PublicKey | None:
        """The key, or None if auth does not list it.

        Raises DependencyUnavailable if no key is known yet and auth does not answer.
        """
        if kid not in self._keys:
            self._lock = self._lock or asyncio.Lock()
            async with self._lock:
                if kid not in self._keys and time.monotonic() - self._fetched >= MIN_SECONDS_BETWEEN_FETCHES:
                    await self._fetch()
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        if self._stub is None:
            self._stub = auth_service_pb2_grpc.AuthServiceStub(aio_channel(self._address))
        try:
            answer = await self._stub.GetJwks(auth_service_pb2.GetJwksRequest(), timeout=2, wait_for_ready=True)
        except grpc.RpcError as error:
            raise DependencyUnavailable("auth") from error
        self._fetched = time.monotonic()
        self._keys = {key.kid: Ed25519PublicKey.from_public_bytes(decode_key(key.x)) for key in answer.keys}
