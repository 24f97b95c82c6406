"""The kinds of store that Blobs is promised on: a folder, memory, and S3 as moto and rclone serve it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import httpx

from services.results.blobs import Blobs
from tests.results.store_servers import BUCKET, S3Server
from tests.tcp_proxy import TcpProxy

PNG = "image/png"
KEYS = ["0192f0c1-0000-7000-8000-000000000000.png", "0192f0c1-0000-7000-8000-000000000000/w640.webp"]
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Store:
    """A store with nothing in it.

    `outage`: it is away for the length of the `with`; None: it never is.
    """

    blobs: Blobs
    outage: Callable[[], AbstractContextManager[None]] | None = None


@contextmanager
def behind_a_proxy(server: S3Server) -> Iterator[Store]:
    with TcpProxy(server.address) as proxy:

        @contextmanager
        def outage() -> Iterator[None]:
            proxy.drop()
            yield
            proxy.pass_on()

        options = server.options(proxy.address)
        yield Store(Blobs.from_url(f"s3://{BUCKET}/{uuid4()}", options, redirects=True), outage)


S3 = ["s3_on_moto", "s3_on_rclone"]
ALL = ["a_folder", "memory", *S3]


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)
