"""One context's PostgreSQL database: a bounded pool and transactions."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.runtime.errors import DependencyUnavailable

SERVER_TIMEOUTS = "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=5s"
"""No statement of ours takes a second; these bound what a stuck one can hold up."""

DEAD_CONNECTION = {"tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
"""A database whose machine is gone is noticed within ten seconds (milliseconds, seconds: libpq's units)."""

PASSING_CLASSES = {"08", "40", "53", "55", "57"}
"""SQLSTATE classes that a later try may not meet again: connection, rollback, resources, locks, shutdown."""


class Database:
    """A pool of at most `connections` connections; that many threads can be in a transaction at once."""

    def __init__(self, url: str, *, connections: int = 8) -> None:
        self.connections = connections
        self._engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg2"),
            pool_size=connections,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=True,
            # The text of an error would quote what people wrote, and password hashes.
            hide_parameters=True,
            connect_args={"connect_timeout": 3, "options": SERVER_TIMEOUTS, **DEAD_CONNECTION},
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: commits at the end, rolls back on any exception.

        Raises DependencyUnavailable if the database cannot do it now and might later.
        """
        try:
            with self._engine.begin() as tx:
                yield tx
        except PoolTimeout as error:
            raise DependencyUnavailable("the database") from error
        except DBAPIError as error:
            code = getattr(error.orig, "pgcode", None)
            if error.connection_invalidated or code is None or code[:2] in PASSING_CLASSES:
                raise DependencyUnavailable("the database") from error
            raise

    def close(self) -> None:
        self._engine.dispose()
