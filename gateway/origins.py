"""Both ends of a request as the world outside Envoy sees them: the address that it was sent to, and who sent it."""

import re
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request

HOST = re.compile(r"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def public_origin(request: Request) -> str:
    """`scheme://host[:port]` as the client wrote it: Envoy passes Host on and tells the scheme, whoever may lie
    about either gets wrong links in its own answer only. A Host that is none is not repeated.
    """
    forwarded = request.headers.get("x-forwarded-proto")
    scheme = forwarded if forwarded in ("http", "https") else request.scope["scheme"]
    host = request.headers.get("host", "")
    return f"{scheme}://{host if HOST.fullmatch(host) else 'localhost'}"


Origin = Annotated[str, Depends(public_origin)]


def client_address(request: Request) -> str:
    """Envoy appends the address that it was called from to X-Forwarded-For; what stands before, anybody may invent."""
    told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        return str(ip_address(told.partition("%")[0]))  # a zone may be any text
    except ValueError:
        return request.client.host if request.client else ""
