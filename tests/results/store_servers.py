"""Servers that speak S3, each in a process of its own that ends with the test run's.

Neither is S3: moto believes every signature, and rclone's Range is not the standard's. Each makes up for the other.
"""

import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.ports import LOOPBACK, reserved_ports
from deploy.local.watchdog import guarded_group
from services.results.blobs import S3Options

BUCKET = "pictures-1250000000"
"""A name as Tencent's COS gives it."""
ACCESS_KEY_ID = "A" * 20
SECRET_ACCESS_KEY = "s" * 40  # rclone takes no keys that are shorter than AWS's
RCLONE = str(Path(sysconfig.get_path("scripts")) / "rclone")


@dataclass(frozen=True)
class S3Server:
    """A running server with BUCKET in it.

    Attributes:
        address: `host:port`.
        folder: where the bucket's objects lie as files, if they do.
    """

    address: str
    folder: Path | None = None

    def options(
        self, address: str = "", *, secret_access_key: str = SECRET_ACCESS_KEY, virtual_hosted: bool = False
    ) -> S3Options:
        """How to speak to it, by way of `address` if it is given."""
        return S3Options(
            endpoint=f"http://{address or self.address}",
            region="us-east-1",
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=secret_access_key,
            virtual_hosted=virtual_hosted,
        )


@contextmanager
def running_moto() -> Iterator[S3Server]:
    with reserved_ports(["moto"]) as ports:
        port = ports["moto"]
        with _running((sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)), port):
            httpx.put(f"http://{LOOPBACK}:{port}/{BUCKET}", trust_env=False).raise_for_status()
            yield S3Server(f"{LOOPBACK}:{port}")


@contextmanager
def running_rclone(folder: Path, *, virtual_hosted: bool = False) -> Iterator[S3Server]:
    """`virtual_hosted`: looks for the bucket in the name of the host and nowhere else."""
    bucket = folder / BUCKET
    bucket.mkdir()
    with reserved_ports(["rclone"]) as ports:
        port = ports["rclone"]
        options = ("--auth-key", f"{ACCESS_KEY_ID},{SECRET_ACCESS_KEY}", f"--force-path-style={not virtual_hosted}")
        command = (RCLONE, "serve", "s3", "--config", "", "--addr", f"{LOOPBACK}:{port}", *options, str(folder))
        with _running(command, port):
            yield S3Server(f"{LOOPBACK}:{port}", folder=bucket)


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    with (
        guarded_group() as group,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=group
        ) as server,
    ):
        try:
            while not _listens(port):
                assert server.poll() is None, f"{command[0]} did not start"
                time.sleep(0.02)  # it is a process of its own: nothing to wait on
            yield
        finally:
            server.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port)).close()
    except ConnectionRefusedError:
        return False
    return True
