"""Whether there is room for an owner's pictures: results is asked before a task is accepted, and not waited for.

Without an answer there is room: a picture too many does less harm than a task refused because a neighbour is away.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import grpc
import structlog
from imagegen.results.v1 import quota_service_pb2 as pb
from imagegen.results.v1 import quota_service_pb2_grpc
from prometheus_client import Counter

from services.generation.domain import OwnerId, StorageFull
from services.runtime.channels import Peer

log = structlog.get_logger()

UNKNOWN = Counter(
    "imagegen_generation_quota_unknown_total", "Requests let in while results did not say if there is room."
)

ANSWER_SECONDS = 0.2
"""A person waits for this, and it is a look at two rows."""

SILENT_FOR = timedelta(seconds=1)
"""Who has not answered is not asked again before: were results frozen, every request would wait in vain."""

WITHOUT_QUOTA_FOR = timedelta(seconds=30)
"""Until a quota that an operator has just set counts here; without one, hardly anybody asks. What was said of an owner
is believed once only: whoever has deleted a picture is let in at once."""


class Storage:
    """Calls from threads, which wait for at most `seconds`."""

    def __init__(
        self, channel: grpc.Channel, peer: Peer, clock: Callable[[], datetime], *, seconds: float = ANSWER_SECONDS
    ) -> None:
        self._stub = quota_service_pb2_grpc.QuotaServiceStub(channel)
        self._peer = peer
        self._clock = clock
        self._seconds = seconds
        self._ask_from = datetime.min.replace(tzinfo=UTC)
        self._is_silent = False

    def full(self, owner_id: OwnerId) -> StorageFull | None:
        """Why nothing more may be accepted of this owner, if that is so."""
        if self._clock() >= self._ask_from:
            answer = self._ask(owner_id)
            if answer and answer.is_full:
                return StorageFull(answer.used_bytes, answer.quota_bytes)
        if self._is_silent:
            UNKNOWN.inc()
        return None

    def _ask(self, owner_id: OwnerId) -> pb.CheckQuotaResponse | None:
        request = pb.CheckQuotaRequest(owner_id=str(owner_id))
        try:
            answer = self._stub.CheckQuota(request, timeout=self._seconds, metadata=self._peer.metadata())
        except grpc.RpcError as error:
            self._ask_from = self._clock() + SILENT_FOR
            self._note(is_silent=True, code=error.code())
            return None
        if not answer.HasField("quota_bytes"):
            self._ask_from = self._clock() + WITHOUT_QUOTA_FOR
        self._note(is_silent=False, code=grpc.StatusCode.OK)
        return answer

    def _note(self, *, is_silent: bool, code: grpc.StatusCode) -> None:
        if is_silent != self._is_silent:
            self._is_silent = is_silent
            log.info("quotas are not known" if is_silent else "quotas are known", code=code.name)
