"""Image links: who has one sees the picture, for a day or two, without a token. Nothing of them is stored."""

import base64
import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import datetime

from services.results.domain import LinkInvalid, ResultId

DAY = 24 * 60 * 60
MIN_LIFE_SECONDS = DAY
WINDOW_SECONDS = DAY
"""All links that are made within one window expire together, so that a picture keeps its link and caches hold."""


@dataclass(frozen=True)
class ImageLink:
    """`expires` in seconds since the epoch; `signature` in base64url without padding."""

    expires: int
    signature: str


class ImageLinks:
    """Signs with HMAC-SHA256 (RFC 2104). Raises ValueError unless the key has 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != hashlib.sha256().digest_size:
            raise ValueError("the key of image links must have 32 bytes")
        self._key = key

    def sign(self, result_id: ResultId, now: datetime) -> ImageLink:
        """The picture's link of this window: at least MIN_LIFE_SECONDS of life."""
        expires = math.ceil((now.timestamp() + MIN_LIFE_SECONDS) / WINDOW_SECONDS) * WINDOW_SECONDS
        return ImageLink(expires, self._signature(result_id, expires))

    def check(self, result_id: ResultId, link: ImageLink, now: datetime) -> None:
        """Raises LinkInvalid if the link was not made for this picture, or has expired."""
        signature = self._signature(result_id, link.expires)
        genuine = hmac.compare_digest(signature.encode(), link.signature.encode())
        if not genuine or now.timestamp() >= link.expires:
            raise LinkInvalid

    def _signature(self, result_id: ResultId, expires: int) -> str:
        # The first words keep the key's other uses, should it get any, from ever signing a link.
        text = f"imagegen results image link\n{result_id}\n{expires}"
        digest = hmac.digest(self._key, text.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
