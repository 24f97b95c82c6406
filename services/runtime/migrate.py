"""Bring the databases of the named contexts to their newest schema.

    python -m services.runtime.migrate auth generation …

Each context's revisions lie in `services/<context>/migrations`; its database is `<CONTEXT>_DATABASE_URL`.
"""

import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import make_url

SERVICES = Path(__file__).parent.parent


LOCK_SECONDS = 5
"""How long a migration waits for a table that others use."""


def migrate(context: str, url: str, revision: str = "head", *, lock_seconds: int = LOCK_SECONDS) -> None:
    """Apply what is missing, in one transaction. Several processes may do so at once: they take turns.

    Raises:
        sqlalchemy.exc.OperationalError: A table was in use for longer than that; nothing has changed.
    """
    command.upgrade(configuration(context, url, lock_seconds=lock_seconds), revision)


def configuration(context: str, url: str, *, lock_seconds: int = LOCK_SECONDS) -> Config:
    """What Alembic is to know of a context and its database."""
    config = Config()
    config.set_main_option("script_location", str(SERVICES / "runtime" / "migrations"))
    config.set_main_option("version_locations", str(SERVICES / context / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = make_url(url).set(drivername="postgresql+psycopg2")
    config.attributes["lock_seconds"] = lock_seconds
    return config


if __name__ == "__main__":
    for name in sys.argv[1:]:
        migrate(name, os.environ[f"{name.upper()}_DATABASE_URL"])
