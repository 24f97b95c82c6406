"""Opaque page tokens: where the next page begins and of which list it is, as the client carries them."""

import base64
import hashlib
import json
from uuid import UUID

from services.runtime.errors import InvalidCursor


def encode_page_token(last: UUID, filters: bytes = b"") -> str:
    """The token of the page after the item `last`, in a list with these filters."""
    place = {"after": last.hex} | ({"of": _digest(filters)} if filters else {})
    return base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()


def decode_page_token(token: str, filters: bytes = b"") -> UUID | None:
    """The last item of the page before; None for the first page. Raises InvalidCursor, also if the filters differ."""
    if not token:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if place.get("of") != (_digest(filters) if filters else None):
            raise InvalidCursor("page_token")
        return UUID(hex=place["after"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidCursor("page_token") from error


def _digest(filters: bytes) -> str:
    """Tells lists apart; keeps nobody from making a token, which would open nothing that the list does not."""
    return hashlib.sha256(filters).hexdigest()[:16]
