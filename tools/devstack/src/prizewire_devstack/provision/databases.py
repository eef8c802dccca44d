"""The roles and databases of all services on a PostgreSQL server that is reached over the network."""

import json
from pathlib import Path
from typing import Final

import asyncpg

from prizewire_devstack.components.postgres import (
    RolePasswords,
    service_scripts,
)
from prizewire_devstack.database_urls import for_asyncpg
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.files import read_text
from prizewire_devstack.waiting import NotInTimeError, eventually

WAIT_S: Final = 90.0
"""Seconds that the server may take until it accepts the superuser."""
CONNECT_S: Final = 10.0


async def provision_databases(*, secrets: Path, wait_s: float = WAIT_S) -> list[str]:
    """Create what is missing, and set passwords and rights; returns the names of the databases.

    `secrets` has the files `superuser_url` and `role_passwords`.

    Raises:
        DevstackError: the server does not answer, or refused.
    """
    url = for_asyncpg(read_text(secrets / "superuser_url").strip())
    passwords = {
        service: RolePasswords(**both)
        for service, both in json.loads(read_text(secrets / "role_passwords")).items()
    }
    server = await _connect(url, wait_s=wait_s)
    try:
        for service, own in passwords.items():
            await _ensure(server, url, service, own)
    except asyncpg.PostgresError as error:
        raise DevstackError(f"PostgreSQL refused to create the databases: {error}.") from error
    finally:
        await server.close()
    return list(passwords)


async def _ensure(server: asyncpg.Connection, url: str, service: str, passwords: RolePasswords) -> None:
    in_server, in_database = service_scripts(service, passwords=passwords)
    await _run(server, in_server)
    inside = await asyncpg.connect(url, database=service, timeout=CONNECT_S)
    try:
        await _run(inside, in_database)
    finally:
        await inside.close()


async def _run(connection: asyncpg.Connection, script: str) -> None:
    """Run a script as psql does: where a query ends with the command gexec, run each value of its result as a statement of its own."""
    for part in script.split("\\gexec"):
        before, _, query = part.rpartition(";")
        if before.strip():
            await connection.execute(before)
        if query.strip():
            for (statement,) in await connection.fetch(query):
                await connection.execute(statement)


async def _connect(url: str, *, wait_s: float) -> asyncpg.Connection:
    """A connection, once the server accepts it; a wrong password is refused at once.

    Raises:
        DevstackError: it did not in time, or the server refused.
    """
    said: list[str] = []

    async def connected() -> asyncpg.Connection | None:
        try:
            return await asyncpg.connect(url, timeout=CONNECT_S)
        except (OSError, asyncpg.CannotConnectNowError) as error:
            said.append(str(error) or type(error).__name__)
            return None

    try:
        found = await eventually(connected, deadline_s=wait_s, poll_s=0.5)
    except NotInTimeError as error:
        raise DevstackError(
            f"PostgreSQL did not answer within {wait_s:g} s ({said[-1]}): check its address and that it runs."
        ) from error
    except asyncpg.PostgresError as error:
        raise DevstackError(
            f"PostgreSQL refused the superuser ({error}): check the password in superuser_url."
        ) from error
    assert found is not None, "eventually returns a true result"
    return found
