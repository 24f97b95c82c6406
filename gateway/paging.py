"""Pages of lists: how a client asks for the next one."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from gateway.bodies import NoNul

Cursor = Annotated[
    NoNul, Query(max_length=256, description="`next_cursor` of the page before; goes with the same filters.")
]

LINK: dict[str, Any] = {
    "Link": {"description": 'The next page, `rel="next"` (RFC 8288).', "schema": {"type": "string"}}
}
"""For OpenAPI."""


def next_cursor(request: Request, response: Response, page_token: str) -> str | None:
    """The cursor of the page that follows, None after the last; the response's Link says it as well."""
    if not page_token:
        return None
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    query = urlencode([*kept, ("cursor", page_token)])
    response.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return page_token
