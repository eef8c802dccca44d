"""Running Alembic: ``migrate`` from a service's command, ``run_env`` from its ``migrations/env.py``."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, make_url, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from prizewire_chassis.db.privileges import FILE, grant_privileges, read_privileges

LOCK_TIMEOUT_MS = 5_000
"""A migration that cannot get its lock gives up instead of queueing in front of every query."""


def migrate(
    *,
    url: str,
    script_location: Path,
    runtime_role: str | None,
    afterwards: Callable[[Connection], None] | None = None,
) -> None:
    """Upgrade a database to the newest revision, give ``runtime_role`` what ``privileges.yaml`` beside the revisions
    says, and do what the caller wants done ``afterwards``: all in one transaction. ``url`` is the owner's.

    Raises:
        ValueError: ``privileges.yaml`` is malformed, or does not fit the database.
    """
    config = Config()
    config.set_main_option("script_location", str(script_location))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    config.attributes["runtime_role"] = runtime_role
    config.attributes["afterwards"] = afterwards
    command.upgrade(config, "head")


def run_env() -> None:
    """The body of every ``migrations/env.py``: all revisions in one transaction, under a lock time-out."""
    url = context.config.attributes["url"]

    def upgrade(connection: Connection) -> None:
        context.configure(connection=connection)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('prizewire.migrate'))"))
            connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
            context.run_migrations()
            role = context.config.attributes["runtime_role"]
            if role is not None:
                directory = Path(context.config.get_main_option("script_location") or ".")
                grant_privileges(connection, role=role, privileges=read_privileges(directory / FILE))
            if (afterwards := context.config.attributes.get("afterwards")) is not None:
                afterwards(connection)

    async def connect() -> None:
        engine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool
        )
        async with engine.connect() as connection:
            await connection.run_sync(upgrade)
            await connection.commit()
        await engine.dispose()

    asyncio.run(connect())
