"""Composition root: settings → app → uvicorn. Run with `python -m gateway.main`."""

import asyncio
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI

from gateway.app import create_app
from gateway.settings import Settings
from services.runtime.authority import RemoteAuthority
from services.runtime.channels import Peer
from services.runtime.process import start_process
from services.runtime.server import STOP_GRACE_SECONDS
from services.runtime.settings import service_identity
from services.runtime.tokens import TokenVerifier


class Server(uvicorn.Server):
    """Uvicorn that says so before it stops, and serves on for `drain` seconds. Then it ends the event streams: it would
    wait for open responses, and those never end.
    """

    def __init__(self, app: FastAPI, host: str, port: int, *, drain: float = 0) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                access_log=False,  # gateway/middleware.py writes one without query strings
                log_config=None,
                http="h11",
                loop="asyncio",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=int(STOP_GRACE_SECONDS),
                ws="none",
            )
        )
        self._app = app
        self._drain = drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.draining = True
        await asyncio.sleep(self._drain)
        self._app.state.stopping.set()
        await super().shutdown(sockets)


def main() -> None:
    process = start_process("gateway")
    settings = Settings()
    authority = RemoteAuthority(settings.auth_address, Peer(service_identity("gateway"), "auth"))
    verifier = TokenVerifier("gateway", process.trusted_services(), authority)
    host, port = settings.listen.rsplit(":", 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Uvicorn handles these while it serves and raises them anew once it has stopped: a clean end.
        signal.signal(number, lambda _number, _frame: sys.exit(0))
    Server(create_app(settings, verifier), host, int(port), drain=process.drain_seconds).run()


if __name__ == "__main__":
    main()
