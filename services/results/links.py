"""Image links: who has one sees the picture, for a day or two, without a token. Nothing of them is stored, nor of the
tickets that open a share link once its password has been given.
"""

import base64
import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.results.domain import TICKET_LIFETIME, LinkInvalid, ResultId, Share

DAY = 24 * 60 * 60
MIN_LIFE_SECONDS = DAY
WINDOW_SECONDS = DAY
"""All links that are made within one window expire together, so that a picture keeps its link and caches hold."""

MOST_DIGITS = 12
"""Of seconds since the epoch: enough for the next 30,000 years."""


@dataclass(frozen=True)
class ImageLink:
    """`expires` in seconds since the epoch; `signature` in base64url without padding."""

    expires: int
    signature: str


class ImageLinks:
    """Signs with HMAC-SHA256 (RFC 2104), and believes what was signed with the key before, if there is one.

    Raises ValueError unless each key has 32 bytes.
    """

    def __init__(self, key: bytes, *former: bytes) -> None:
        if any(len(each) != hashlib.sha256().digest_size for each in (key, *former)):
            raise ValueError("the key of image links must have 32 bytes")
        self._key = key
        self._believed = (key, *former)

    def sign(self, result_id: ResultId, now: datetime) -> ImageLink:
        """The picture's link of this window: at least MIN_LIFE_SECONDS of life."""
        expires = math.ceil((now.timestamp() + MIN_LIFE_SECONDS) / WINDOW_SECONDS) * WINDOW_SECONDS
        return ImageLink(expires, _signature(self._key, _link(result_id, expires)))

    def check(self, result_id: ResultId, link: ImageLink, now: datetime) -> None:
        """Raises LinkInvalid if the link was not made for this picture, or has expired."""
        genuine = _is_genuine(link.signature, self._believed, _link(result_id, link.expires))
        if not genuine or now.timestamp() >= link.expires:
            raise LinkInvalid

    @property
    def tickets(self) -> "ShareTickets":
        """Signed with the same key."""
        return ShareTickets(*self._believed)


class ShareTickets:
    """Of one password of one link, for a while; a share link without a password needs none."""

    def __init__(self, key: bytes, *former: bytes) -> None:
        self._key = key
        self._believed = (key, *former)

    def issue(self, share: Share, now: datetime) -> tuple[str, datetime]:
        """The ticket, and until when it is good: in whole seconds, as the ticket has it."""
        expires_at = (now + TICKET_LIFETIME).replace(microsecond=0)
        expires = int(expires_at.timestamp())
        return f"{expires}.{_signature(self._key, _ticket(share, expires))}", expires_at

    def is_good(self, share: Share, ticket: str, now: datetime) -> bool:
        """Whether it was issued for this link and its password of today, and has not expired."""
        expires, _, signature = ticket.partition(".")
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= MOST_DIGITS):
            return False
        genuine = _is_genuine(signature, self._believed, _ticket(share, int(expires)))
        return genuine and now.timestamp() < int(expires)


# The first words of each text keep one use of the key from signing for another.


def _link(result_id: ResultId, expires: int) -> str:
    return f"imagegen results image link\n{result_id}\n{expires}"


def _ticket(share: Share, expires: int) -> str:
    return f"imagegen results share ticket\n{share.id}\n{share.password_hash}\n{expires}"


def _is_genuine(signature: str, keys: Sequence[bytes], text: str) -> bool:
    return any(hmac.compare_digest(_signature(key, text).encode(), signature.encode()) for key in keys)


def _signature(key: bytes, text: str) -> str:
    """HMAC-SHA256 in base64url."""
    digest = hmac.digest(key, text.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
