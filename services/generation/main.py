"""Generation's gRPC server and its reconciler: `python -m services.generation.main`."""

import asyncio
import threading
from datetime import UTC, datetime

from services.generation.domain import OwnerId
from services.generation.executor import Executor
from services.generation.reconciler import Reconciler
from services.generation.server import generation_server
from services.generation.service import Tasks
from services.generation.settings import GenerationSettings
from services.generation.storage import Storage
from services.generation.suggestions import load_vocabulary
from services.generation.watch import Watcher
from services.generation.watch_all import AllWatcher
from services.runtime.authority import RemoteAuthority
from services.runtime.channels import Peer, channel
from services.runtime.database import Database
from services.runtime.erasures import Erasures
from services.runtime.process import start_process
from services.runtime.settings import service_identity
from services.runtime.tokens import TokenVerifier

CALLS = 8
CONNECTIONS = 16
"""One per call that runs, one per step of the reconciler, one for erasures, and two for the watches' looks."""


def _now() -> datetime:
    return datetime.now(UTC)


async def main() -> None:
    process = start_process("generation")
    settings = GenerationSettings()
    database = Database(settings.database_url, connections=CONNECTIONS)
    identity = service_identity("generation")
    peer = Peer(identity, "executor")
    executor = Executor(channel(settings.executor_address), peer)
    storage = Storage(channel(settings.results_address), Peer(identity, "results"), _now)
    outbox = threading.Event()
    tasks = Tasks(database, executor, storage, outbox, queued_cap=settings.queued_cap, clock=_now)
    reconciler = Reconciler(database, executor, tasks, outbox, _now)
    watcher = Watcher(tasks, settings.executor_address, peer, _now)
    all_watcher = AllWatcher(tasks, watcher, _now)
    to_auth = Peer(identity, "auth")
    erasures = Erasures(channel(settings.auth_address), to_auth, lambda user_id: tasks.erase(OwnerId(user_id)))
    authority = RemoteAuthority(settings.auth_address, to_auth)
    verifier = TokenVerifier("generation", process.trusted_services(), authority)
    server = generation_server(tasks, watcher, all_watcher, load_vocabulary(), verifier, threads=CALLS)
    stopping = threading.Event()
    reconciler.start()
    erasures.start(stopping)
    try:
        await server.serve(settings.listen)
    finally:
        stopping.set()
        reconciler.stop()
        database.close()


if __name__ == "__main__":
    asyncio.run(main())
