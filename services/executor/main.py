"""The executor's gRPC server: `python -m services.executor.main`."""

import asyncio
import threading
from datetime import UTC, datetime

import structlog
from prometheus_client import REGISTRY

from services.executor.bell import Bell, celery_app
from services.executor.engine.folder import open_models
from services.executor.erasing import Eraser
from services.executor.events import EventLog, Publisher
from services.executor.expiry import EXPIRY_SECONDS, Expiry
from services.executor.metrics import QueueCollector, introduce
from services.executor.operators import Operators
from services.executor.scheduling.learning import Learning
from services.executor.scheduling.ledger import Ledger
from services.executor.scheduling.queue_view import LEAST_AGE_SECONDS, QueueView
from services.executor.server import executor_server
from services.executor.service import Executor
from services.executor.settings import Pools, QueueSettings, ServerSettings
from services.executor.sweeping import repeat
from services.runtime.authority import RemoteAuthority
from services.runtime.channels import Peer, channel
from services.runtime.database import Database
from services.runtime.erasures import Erasures
from services.runtime.process import start_process
from services.runtime.settings import service_identity
from services.runtime.tokens import TokenVerifier

log = structlog.get_logger()


def now() -> datetime:
    return datetime.now(UTC)


async def serve() -> None:
    process = start_process("executor")
    settings, queue = ServerSettings(), QueueSettings()
    database = Database(settings.database_url)
    folder, pools = open_models(settings.models_dir), Pools(settings.pool_models)
    publisher = Publisher(settings.redis_url)
    bell = Bell(celery_app(settings.redis_url))
    events = EventLog(settings.redis_url)
    ledger, learning = Ledger(queue.running_cap), Learning(database, folder)
    executor = Executor(
        database=database,
        folder=folder,
        pools=pools,
        ledger=ledger,
        estimates=learning.estimates,
        publisher=publisher,
        bell=bell,
        clock=now,
    )
    expiry = Expiry(database=database, folder=folder, ledger=ledger, publisher=publisher, bell=bell, clock=now)
    operators = Operators(database, ledger, now)
    view = QueueView(database, learning.estimates, lambda: pools.among(folder.models), now)
    REGISTRY.register(QueueCollector(lambda: view.census, lambda: folder.models))
    introduce(folder.models)
    auth = Peer(service_identity("executor"), "auth")
    authority = RemoteAuthority(settings.auth_address, auth)
    verifier = TokenVerifier("executor", process.trusted_services(), authority)
    server = executor_server(executor, operators, view, events, verifier, threads=database.connections)
    stopping = threading.Event()
    repeat("queue view", view.look, LEAST_AGE_SECONDS, stopping)
    repeat("expiry", lambda: expiry.look(queue.grace, queue.max_attempts), EXPIRY_SECONDS, stopping)
    Erasures(channel(settings.auth_address), auth, Eraser(database, executor.cancel, now).erase).start(stopping)
    following = asyncio.create_task(events.follow())
    try:
        await server.serve(settings.listen)
    finally:
        stopping.set()
        following.cancel()
        bell.close()
        publisher.close()
        database.close()


if __name__ == "__main__":
    asyncio.run(serve())
