"""HTTP to one engine: questions whose whole answers are there within a number of seconds, or count as not given."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpcore

from services.executor.engine.errors import EngineUnavailable

T = TypeVar("T")

_CONNECT_SECONDS = 3.0
_SILENCE_SECONDS = 10.0  # without a byte; loading a model holds HTTP up for 0.3 s (docs/comfyui-protocol.md §5.9)
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)
# What reading JSON of an unexpected shape raises: also numbers such as 1e999, and ten thousand open brackets.
_MISSHAPEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class Answer:
    """What came back, whatever it is: an engine's word, or a page of a proxy in between."""

    path: str
    status: int
    body: bytes

    def checked(self) -> "Answer":
        """This answer, if its status is 200. Raises EngineUnavailable."""
        if self.status != HTTPStatus.OK:
            raise EngineUnavailable("bad_answer", f"{self.status} to {self.path}")
        return self

    def parsed(self, parse: Callable[[Any], T]) -> T:
        """What `parse` makes of the body's JSON. Raises EngineUnavailable if that has another shape."""
        try:
            return parse(json.loads(self.body))
        except _MISSHAPEN as error:
            raise EngineUnavailable("bad_answer", f"{self.status} to {self.path}: {type(error).__name__}") from error

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class Http:
    """May be asked from several threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Without proxies of the environment: an engine is on the private network, and none of them may see it.
        self._pool = httpcore.ConnectionPool(network_backend=_Backend(), max_connections=100)

    def close(self) -> None:
        self._pool.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        params: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """The answer to one request; its body is JSON, if there is one.

        Args:
            method: GET or POST.
            path: on the server, quoted.
            seconds: until the last byte of the answer.
            params: the query.
            body: what to send as JSON.

        Raises:
            EngineUnavailable: unreachable, where no connection came about; no_answer, where nothing whole came back.
        """
        deadline = time.monotonic() + seconds
        query = f"?{urlencode(params)}" if params else ""
        try:
            answer = self._pool.request(
                method,
                f"{self._url}{path}{query}",
                content=None if body is None else json.dumps(body).encode(),
                extensions={"timeout": {"connect": deadline, "read": deadline, "write": deadline, "pool": seconds}},
            )
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            # A reset comes from something that is there, such as a proxy whose engine restarts. httpcore's pool raises
            # anew without the cause, but its own error holds it.
            is_reset = any(isinstance(cause, ConnectionResetError) for cause in error.args)
            raise EngineUnavailable("no_answer" if is_reset else "unreachable", repr(error)) from error
        except _BROKEN as error:
            raise EngineUnavailable("no_answer", repr(error)) from error
        return Answer(path, answer.status, answer.content)


class _Backend(httpcore.SyncBackend):
    """Takes each time-out as the moment, in monotonic seconds, when the whole exchange must be over.

    A time-out for each read would let a server that sends a byte now and then hold the caller for ever.
    """

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = min(_left(timeout, httpcore.ConnectTimeout), _CONNECT_SECONDS)
        return _Stream(super().connect_tcp(host, port, seconds, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        seconds = min(_left(timeout, httpcore.ConnectTimeout), _CONNECT_SECONDS)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float | None, late: type[httpcore.TimeoutException]) -> float:
    """Seconds until the deadline, but not more than the longest silence. Raises `late` when it is over."""
    assert deadline is not None, "every request has a deadline"
    left = deadline - time.monotonic()
    if left <= 0:
        raise late("the answer takes too long")
    return min(left, _SILENCE_SECONDS)
