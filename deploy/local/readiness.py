"""How each kind of process shows that it can do its work."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.envoy.render import Certificates
from deploy.local.loopback import request
from deploy.local.postgres import Postgres, PostgresError

Check = Callable[[], None]
"""Returns when the process is ready, or raises NotReady; called again and again, in a thread."""

_SECONDS = 2.0  # for one answer from a process that is busy starting
_GRPC_UNAVAILABLE = "14"
# gRPC over HTTP/2 starts a message with a zero byte and four bytes of length (PROTOCOL-HTTP2.md of gRPC).
_EMPTY_MESSAGE = bytes(5)


class NotReady(Exception):
    """Not yet; the text says why."""


def connects(address: str) -> Check:
    """Somebody listens on `host:port`."""
    host, _, port = address.rpartition(":")

    def check() -> None:
        try:
            socket.create_connection((host, int(port)), _SECONDS).close()
        except OSError as error:
            raise NotReady(f"{address}: {error}") from error

    return check


def answers(address: str, path: str) -> Check:
    """GET is answered by a 2xx."""

    def check() -> None:
        try:
            status, _ = request("GET", address, path)
        except OSError as error:
            raise NotReady(f"{address}: {error}") from error
        if status // 100 != 2:
            raise NotReady(f"{address} answers {path} with {status}")

    return check


def serves(address: str, certificates: Certificates | None = None) -> Check:
    """The health service (grpc.health.v1) says SERVING of the server as a whole."""
    listens = connects(address)

    def check() -> None:
        listens()
        # The import takes 0.2 s, and nothing needs it before the first service listens.
        import grpc  # noqa: PLC0415 - see above
        from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415 - see above

        options = [("grpc.enable_http_proxy", 0)]
        if certificates is None:
            opened = grpc.insecure_channel(address, options)
        else:
            ca, chain, key = (Path(file).read_bytes() for file in certificates)
            opened = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, chain), options)
        with opened as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
            except grpc.RpcError as error:
                raise NotReady(f"{address}: {error}") from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise NotReady(f"{address} is not serving")

    return check


def exists(path: Path) -> Check:
    def check() -> None:
        if not path.exists():
            raise NotReady(f"{path} is not there")

    return check


def has_databases(postgres: Postgres, passwords: Mapping[str, str]) -> Check:
    """The server answers and has a database of each name; those that were missing are created."""

    def check() -> None:
        try:
            for name, password in passwords.items():
                postgres.create_database(name, password)
        except PostgresError as error:
            raise NotReady(str(error)) from error

    return check


def opens(public: str) -> Check:
    """The public address leads to the gateway, to the client and to the three services that callers reach by gRPC."""
    front = [answers(public, path) for path in ("/healthz", "/")]
    paths = [f"/imagegen.{name}.v1.{name.title()}Service/-" for name in ("auth", "generation", "results")]

    def check() -> None:
        for answered in front:
            answered()
        for path in paths:
            # No such method: the service itself says UNIMPLEMENTED, Envoy UNAVAILABLE while it holds it for dead.
            headers = {"content-type": "application/grpc-web+proto"}
            try:
                _, answer = request("POST", public, path, headers=headers, body=_EMPTY_MESSAGE)
            except OSError as error:
                raise NotReady(f"{public}: {error}") from error
            if answer["grpc-status"] == _GRPC_UNAVAILABLE:
                raise NotReady(f"{public} does not lead to {path}")

    return check
