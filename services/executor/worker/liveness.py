"""A port for liveness probes: whether the engine, or the worker itself, must be restarted.

`GET /engine` is 503 once the engine's worker thread is dead although its HTTP answers, which nothing but a restart
mends; what the worker cannot judge is 200. `GET /worker` is 503 when a thread of the worker is dead that its jobs
depend on.
"""

import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Check = Callable[[], bool]


class Liveness:
    """Serves the checks by path until it is closed."""

    def __init__(self, listen: str, checks: Mapping[str, Check]) -> None:
        """Listens on `host:port`. Raises OSError if it cannot."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                check = checks.get(self.path)
                if check is None:
                    status = HTTPStatus.NOT_FOUND
                else:
                    status = HTTPStatus.OK if check() else HTTPStatus.SERVICE_UNAVAILABLE
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """A probe every few seconds is no news."""

        host, port = listen.rsplit(":", 1)
        self._server = ThreadingHTTPServer((host, int(port)), Handler)
        threading.Thread(target=self._server.serve_forever, name="liveness", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
