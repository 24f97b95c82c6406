"""Results: how one is shown. The bytes of its picture are in `images`."""

import base64
from datetime import datetime
from typing import Self

from imagegen.results.v1 import result_pb2

from gateway.bodies import Answer
from services.runtime.protos import from_timestamp


class Result(Answer):
    id: str
    task_id: str
    index: int
    """Place among the task's pictures, from 0."""
    image_url: str
    """Opens the picture to whoever has it, for a while; read the result again for a fresh one. `&w=` makes it smaller
    (160, 320, 640, 960, 1280 or 1920 pixels wide), `&format=` and `&download=1` do as they say.
    """
    thumbnail_url: str
    """The same at most 320 pixels wide, as WebP."""
    thumb_hash: str | None
    """A blur to be shown until the picture is there: its ThumbHash (https://evanw.github.io/thumbhash/) in base64."""
    width: int
    height: int
    size_bytes: int
    sha256: str
    media_type: str
    created_at: datetime
    expires_at: datetime | None
    """When it is deleted, unless it is a favorite or shared by then; null if it stays."""

    @classmethod
    def from_proto(cls, result: result_pb2.Result, origin: str) -> Self:
        link = result.image_link
        image_url = f"{origin}/api/v1/results/{result.id}/image?expires={link.expires}&signature={link.signature}"
        return cls(
            id=result.id,
            task_id=result.task_id,
            index=result.index,
            image_url=image_url,
            thumbnail_url=f"{image_url}&w=320&format=webp",
            thumb_hash=base64.b64encode(result.thumb_hash).decode() or None,
            width=result.width,
            height=result.height,
            size_bytes=result.size_bytes,
            sha256=result.sha256,
            media_type=result.media_type,
            created_at=from_timestamp(result.create_time),
            expires_at=from_timestamp(result.expire_time) if result.HasField("expire_time") else None,
        )
