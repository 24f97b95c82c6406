"""One HTTP request to a process on this machine; never through a proxy that the environment names."""

from collections.abc import Mapping
from email.message import Message
from http.client import HTTPConnection, HTTPException

_SECONDS = 5.0  # for one answer from a process that is busy starting


def request(
    method: str, address: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, Message]:
    """Returns the answer's status and headers.

    Raises:
        OSError: there was no answer, or none in HTTP.
    """
    connection = HTTPConnection(address, timeout=_SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        response.read()
    except HTTPException as error:
        raise OSError(f"{address} does not speak HTTP: {error!r}") from error
    finally:
        connection.close()
    return response.status, response.headers
