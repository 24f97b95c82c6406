"""Alembic's entry, the same for every context."""

from alembic import context
from sqlalchemy import create_engine, text

engine = create_engine(context.config.attributes["url"])
with engine.begin() as connection:
    # One migration at a time per database: the others wait here and then find nothing to do.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('imagegen migrations'))"))
    # Whoever waits for a table makes everybody wait who comes after: better fail, and be tried again.
    connection.execute(text(f"SET LOCAL lock_timeout = '{context.config.attributes['lock_seconds']} s'"))
    context.configure(connection=connection)
    context.run_migrations()
engine.dispose()
