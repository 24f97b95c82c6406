"""Opaque page tokens: where the next page begins, as the client carries it."""

import base64
import json
from uuid import UUID

from services.runtime.errors import InvalidCursor


def encode_page_token(last: UUID) -> str:
    """The token of the page after the item `last`."""
    return base64.urlsafe_b64encode(json.dumps({"after": last.hex}).encode()).rstrip(b"=").decode()


def decode_page_token(token: str) -> UUID | None:
    """The last item of the page before; None for the first page. Raises InvalidCursor."""
    if not token:
        return None
    try:
        return UUID(hex=json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["after"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidCursor("page_token") from error
