"""Pictures in a ZIP that is written while it is read: a chunk of one picture is held in memory, and the directory."""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from stat import S_IFREG
from typing import Any

import grpc
from imagegen.results.v1 import result_pb2
from imagegen.results.v1 import results_service_pb2 as results
from stream_zip import ZIP_64, ZIP_AUTO, AsyncMemberFile

from gateway.clients import Calls
from gateway.images import DOWNLOAD_SECONDS
from services.runtime.errors import reason_of

MEDIA_TYPE = "application/zip"

GONE = {"RESULT_NOT_FOUND", "PICTURE_LOST"}
"""Why a picture that was listed may be missing: it was deleted since, or the store has lost it."""

_MODE = S_IFREG | 0o600


@dataclass(frozen=True)
class PictureFile:
    """A picture, where it is to be had, and where it is put."""

    result_id: str
    file: str
    created_at: datetime
    size_bytes: int
    link: result_pb2.ImageLink
    """Lasts longer than the access token, which may expire while the ZIP is read."""


async def picture_members(calls: Calls, files: Iterable[PictureFile], now: datetime) -> AsyncIterator[AsyncMemberFile]:
    """The pictures; and what of them was missing, if anything was, as missing.json."""
    missing: list[dict[str, str]] = []
    for picture in files:
        call = calls.results.DownloadResult(
            results.DownloadResultRequest(result_id=picture.result_id, link=picture.link),
            timeout=DOWNLOAD_SECONDS,
            metadata=calls.anonymous_metadata,
        )
        parts = aiter(call)
        try:
            await anext(parts)  # the result, before its bytes
        except grpc.aio.AioRpcError as error:
            if reason_of(error) not in GONE:
                raise
            missing.append({"id": picture.result_id, "file": picture.file, "reason": reason_of(error).lower()})
            continue
        # A PNG does not get any smaller.
        yield picture.file, picture.created_at, _MODE, ZIP_AUTO(picture.size_bytes, level=0), _chunks(parts)
    if missing:
        yield member("missing.json", now, whole(pretty(missing)))


def member(name: str, modified_at: datetime, content: AsyncIterator[bytes]) -> AsyncMemberFile:
    """Anything else."""
    return name, modified_at, _MODE, ZIP_64, content


async def whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def pretty(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=2).encode()


async def _chunks(parts: AsyncIterator[results.DownloadResultResponse]) -> AsyncIterator[bytes]:
    async for part in parts:
        yield part.chunk
