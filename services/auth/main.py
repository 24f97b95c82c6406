"""Starts the auth service."""

import asyncio
import threading
from datetime import UTC, datetime

from services.auth.api_keys import ApiKeys
from services.auth.authority import LocalAuthority
from services.auth.erasures import Erasures
from services.auth.passwords import Passwords, hasher
from services.auth.server import auth_server
from services.auth.service import Auth
from services.auth.settings import Settings
from services.auth.signing import SigningKeys
from services.auth.sweeping import Sweep
from services.runtime.database import Database
from services.runtime.process import start_process
from services.runtime.tokens import TokenVerifier

CALLS = 8
CONNECTIONS = 12
"""One per call that runs, and four for what the event loop asks: revocations first of all, keys, and the sweep."""


def _now() -> datetime:
    return datetime.now(UTC)


async def main() -> None:
    process = start_process("auth")
    settings = Settings()
    database = Database(settings.database_url, connections=CONNECTIONS)
    encryption = settings.encryption()
    signing_keys = SigningKeys(database, encryption, _now)
    erasures = Erasures(database, encryption, _now)
    signing_keys.prepare()
    erasures.prepare()
    auth = Auth(
        database=database,
        passwords=Passwords(hasher(settings.password_memory_kib)),
        signing_keys=signing_keys,
        erasures=erasures,
        limits=settings.limits(),
        clock=_now,
    )
    api_keys = ApiKeys(database, signing_keys, _now)
    authority = LocalAuthority(database, signing_keys, api_keys, _now)
    verifier = TokenVerifier("auth", process.trusted_services(), authority)
    server = auth_server(auth, api_keys, erasures, authority, verifier, threads=CALLS)
    stopping = threading.Event()
    Sweep(database, _now).start(stopping)
    try:
        await server.serve(settings.listen)
    finally:
        stopping.set()
        database.close()


if __name__ == "__main__":
    asyncio.run(main())
