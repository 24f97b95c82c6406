"""Starts the results service."""

import asyncio
import threading
from collections.abc import Callable

import structlog

from services.results.blobs import Blobs
from services.results.domain import OwnerId
from services.results.links import ImageLinks
from services.results.server import results_server
from services.results.settings import Settings
from services.results.use_cases import UseCases
from services.runtime.authority import RemoteAuthority
from services.runtime.channels import Peer, channel
from services.runtime.database import Database
from services.runtime.erasures import Erasures
from services.runtime.logs import describe
from services.runtime.process import start_process
from services.runtime.settings import service_identity
from services.runtime.tokens import TokenVerifier, decode_key

log = structlog.get_logger()

SWEEP_SECONDS = 300
"""Nobody waits for a sweep: it only frees room that a crash has left taken, or that pictures take whose time is up."""


async def main() -> None:
    process = start_process("results")
    settings = Settings()
    database = Database(settings.database_url)
    links = ImageLinks(*map(decode_key, settings.signing_key.split(",")))
    blobs = Blobs.from_url(settings.store_url, settings.s3, redirects=settings.store_redirects)
    limits = {"quota_bytes": settings.quota_bytes, "retention_days": settings.retention_days}
    results = UseCases.on(database, blobs, links, **limits)
    to_auth = Peer(service_identity("results"), "auth")
    erasures = Erasures(
        channel(settings.auth_address), to_auth, lambda user_id: results.storing.erase(OwnerId(user_id))
    )
    authority = RemoteAuthority(settings.auth_address, to_auth)
    verifier = TokenVerifier("results", process.trusted_services(), authority)
    server = results_server(results, verifier, threads=database.connections)
    sweeping = asyncio.create_task(
        _sweep_for_ever(results.sweeper.sweep, results.retention.sweep, results.storage.take_stock)
    )
    thumbnails = asyncio.create_task(results.maker.make_thumbnails())
    stopping = threading.Event()
    erasures.start(stopping)
    await server.serve(settings.listen)
    stopping.set()
    sweeping.cancel()
    thumbnails.cancel()
    database.close()


async def _sweep_for_ever(*sweeps: Callable[[], object]) -> None:
    """One that says that there is more goes on at once."""
    while True:
        for sweep in sweeps:
            try:
                while await asyncio.to_thread(sweep):
                    pass
            except Exception as error:  # noqa: BLE001 - the next turn may succeed; pictures can be served meanwhile
                log.error("the sweep failed", **describe(error))  # noqa: TRY400 - its text may be private
        await asyncio.sleep(SWEEP_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())
