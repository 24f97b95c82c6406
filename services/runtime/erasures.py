"""Deleted accounts, pulled from auth: what a context has of one is erased, and then it says so."""

import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

import grpc
import structlog
from imagegen.auth.v1 import identity_service_pb2, identity_service_pb2_grpc

from services.runtime.channels import Peer
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe

if TYPE_CHECKING:
    from imagegen.auth.v1.identity_service_pb2_grpc import IdentityServiceStub

log = structlog.get_logger()

CALL_SECONDS = 2.0

LOOK_SECONDS = 1.0
"""How soon a deleted account is heard of. One call of auth, which almost always answers with nothing."""


def owner_hash(owner_id: UUID) -> bytes:
    """What is kept of an erased owner, so that nothing is taken for it any more: SHA-256, 32 bytes.

    An id has 74 random bits: it cannot be found again from this.
    """
    return hashlib.sha256(b"imagegen erased owner" + owner_id.bytes).digest()


class Erasures:
    """Erases what auth lists. `erase` is asked again and again until it says that nothing of the owner is left."""

    def __init__(self, channel: grpc.Channel, peer: Peer, erase: Callable[[UUID], bool]) -> None:
        self._stub: IdentityServiceStub = identity_service_pb2_grpc.IdentityServiceStub(channel)
        self._peer = peer
        self._erase = erase

    def start(self, stopping: threading.Event) -> None:
        """Look every second, in a thread of its own, until told to stop."""
        threading.Thread(target=self._repeat, args=(stopping,), name="erasures", daemon=True).start()

    def look(self) -> None:
        """Once; whom it did not come to is listed again. Raises grpc.RpcError."""
        request = identity_service_pb2.ListErasuresRequest()
        listed = self._stub.ListErasures(request, timeout=CALL_SECONDS, metadata=self._peer.metadata())
        for user_id in listed.user_ids:
            if self._is_erased(user_id):
                done = identity_service_pb2.AcknowledgeErasureRequest(user_id=user_id)
                self._stub.AcknowledgeErasure(done, timeout=CALL_SECONDS, metadata=self._peer.metadata())
                log.info("an account has been erased here")

    def _is_erased(self, user_id: str) -> bool:
        """Whatever goes wrong with one account holds the others up no longer than that takes."""
        try:
            return self._erase(UUID(user_id))
        except DependencyUnavailable:
            return False  # logged where people's calls need it
        except Exception as error:  # noqa: BLE001 - the next look may work
            log.error("erasure failed", **describe(error))  # noqa: TRY400 - the text may hold what a person wrote
            return False

    def _repeat(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            # auth is away: logged where its revocations are followed.
            with suppress(grpc.RpcError):
                self.look()
            stopping.wait(LOOK_SECONDS)
