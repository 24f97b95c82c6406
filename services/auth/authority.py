"""Whose tokens count, as auth itself knows it."""

import asyncio

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.auth.signing import SigningKeys
from services.runtime.errors import TokenInvalid
from services.runtime.revocations import Revocations


class LocalAuthority:
    """What `RemoteAuthority` is to the other services."""

    def __init__(self, signing_keys: SigningKeys) -> None:
        self.revocations = Revocations()
        self._signing_keys = signing_keys

    async def public_key(self, kid: str) -> Ed25519PublicKey | None:
        return await self._signing_keys.find_public(kid)

    async def exchange(self, api_key: str) -> str:  # noqa: ARG002
        raise TokenInvalid

    async def follow(self) -> None:
        await asyncio.Event().wait()
