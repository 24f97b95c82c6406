"""Handing pictures over to results."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from uuid import UUID

import grpc
from imagegen.results.v1 import recipe_pb2, store_service_pb2_grpc
from imagegen.results.v1 import store_service_pb2 as pb

from services.executor.domain import Job
from services.runtime.channels import Peer
from services.runtime.errors import DependencyUnavailable

CHUNK_BYTES = 256 * 1024
STORE_TIMEOUT_SECONDS = 30.0

ABSENCES = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
}
"""What is answered, by results or in its stead, while it cannot take anything."""


class PictureRefused(Exception):
    """Results will not take what the engine painted."""


class PictureNotTaken(Exception):
    """Results is there, and answers what says nothing of the picture."""


class PictureUnwanted(Exception):
    """The task's pictures were discarded: nobody wants this one any more."""


class PictureStore:
    """The results service, as a worker sees it."""

    def __init__(self, channel: grpc.Channel, peer: Peer) -> None:
        self._stub = store_service_pb2_grpc.StoreServiceStub(channel)
        self._peer = peer

    def store(self, job: Job, index: int, picture: bytes, engine: str) -> None:
        """Store one picture (PNG) and what `engine` painted it from; a repeat changes nothing.

        Raises PictureRefused, PictureNotTaken, PictureUnwanted, or DependencyUnavailable if results is away.
        """
        header = pb.StoreResultHeader(
            task_id=str(job.id),
            owner_id=str(job.owner_id),
            index=index,
            size_bytes=len(picture),
            sha256=hashlib.sha256(picture).hexdigest(),
            recipe=recipe_pb2.Recipe(model=job.model, engine=engine, **asdict(job.spec)),
        )
        try:
            self._stub.StoreResult(
                _parts(header, picture), timeout=STORE_TIMEOUT_SECONDS, metadata=self._peer.metadata()
            )
        except grpc.RpcError as error:
            match error.code():
                case grpc.StatusCode.INVALID_ARGUMENT:
                    raise PictureRefused(error.details()) from error
                case grpc.StatusCode.FAILED_PRECONDITION:
                    raise PictureUnwanted from error
                case code if code in ABSENCES:
                    raise DependencyUnavailable("results") from error
                case code:
                    raise PictureNotTaken(code.name) from error

    def discard(self, task_id: UUID, owner_id: UUID) -> None:
        """Delete what the task has stored, for good. Raises DependencyUnavailable."""
        request = pb.DiscardResultsRequest(task_id=str(task_id), owner_id=str(owner_id))
        try:
            self._stub.DiscardResults(request, timeout=STORE_TIMEOUT_SECONDS, metadata=self._peer.metadata())
        except grpc.RpcError as error:
            raise DependencyUnavailable("results") from error


def _parts(header: pb.StoreResultHeader, picture: bytes) -> Iterator[pb.StoreResultRequest]:
    yield pb.StoreResultRequest(header=header)
    for start in range(0, len(picture), CHUNK_BYTES):
        yield pb.StoreResultRequest(chunk=picture[start : start + CHUNK_BYTES])
