"""Starts the auth service."""

import asyncio
from datetime import UTC, datetime

from services.auth.authority import LocalAuthority
from services.auth.passwords import Passwords
from services.auth.server import auth_server
from services.auth.service import Auth
from services.auth.settings import Settings
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from services.runtime.process import start_process
from services.runtime.tokens import TokenVerifier


def _now() -> datetime:
    return datetime.now(UTC)


async def main() -> None:
    process = start_process("auth")
    settings = Settings()
    database = Database(settings.database_url)
    signing_keys = SigningKeys(database, settings.encryption(), _now)
    signing_keys.prepare()
    auth = Auth(database, Passwords(), signing_keys, _now)
    verifier = TokenVerifier("auth", process.trusted_services(), LocalAuthority(signing_keys))
    server = auth_server(auth, verifier, threads=database.connections)
    await server.serve(settings.listen)
    database.close()


if __name__ == "__main__":
    asyncio.run(main())
