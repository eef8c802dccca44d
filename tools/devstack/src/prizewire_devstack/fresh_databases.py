"""Databases of tests on one server, copied from templates over one open connection.

A copy of a template takes 20 to 60 ms where the files are in memory. It is made in advance, while the previous test runs,
and dropped while the next one runs.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

import asyncpg

from prizewire_devstack.components.kafka import KafkaLogin
from prizewire_devstack.components.processes import ProcessSpec, Supervisor
from prizewire_devstack.home import repository_root
from prizewire_devstack.stack.environment import Surroundings, migrate_environment, rails

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from prizewire_devstack.components.keys import Keyring
    from prizewire_devstack.components.postgres import DatabaseUrls, PostgresServer
    from prizewire_devstack.database_factory import DatabaseFactory

MIGRATION_TIMEOUT_S: Final = 120


class Databases:
    """Makes and drops databases. All statements run one after another, in one thread with one connection."""

    def __init__(self, *, server: PostgresServer, keyring: Keyring, directory: Path) -> None:
        self._server = server
        self._keyring = keyring
        self._directory = directory
        self._numbers = itertools.count(1)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="databases")
        self._loop = asyncio.new_event_loop()
        self._connection: asyncpg.Connection | None = None
        self._templates: dict[tuple[str, bool], str] = {}
        self._ahead: dict[tuple[str, bool], Future[str]] = {}
        self._drops: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.submit(self._close).result()
        self._thread.shutdown()
        self._loop.close()
        for drop in self._drops:
            drop.result()

    @contextmanager
    def dropped_at_the_end(self) -> Iterator[DatabaseFactory]:
        """A function that makes databases; they are dropped when the block ends."""
        made: list[str] = []

        def make(service: str, *, migrated: bool = False) -> DatabaseUrls:
            urls = self._make(service, migrated=migrated)
            made.append(urls.name)
            return urls

        try:
            yield make
        finally:
            self._drops += [self._thread.submit(self._drop, name) for name in made]

    def _make(self, service: str, *, migrated: bool) -> DatabaseUrls:
        kind = (service, migrated)
        if kind not in self._templates:
            self._templates[kind] = self._make_template(service, migrated=migrated)
        ahead = self._ahead.pop(kind, None) or self._thread.submit(self._copy, kind)
        name = ahead.result()
        self._ahead[kind] = self._thread.submit(self._copy, kind)
        return self._server.urls(service, passwords=self._keyring.role_passwords(service), database=name)

    def _make_template(self, service: str, *, migrated: bool) -> str:
        name = f"{service}_{'migrated' if migrated else 'empty'}"
        passwords = self._keyring.role_passwords(service)
        urls = self._server.ensure_service(service, passwords=passwords, database=name)
        if migrated:
            _migrate(service, urls, keyring=self._keyring, directory=self._directory)
        return name

    def _copy(self, kind: tuple[str, bool]) -> str:
        service, _ = kind
        name = f"{service}_{next(self._numbers)}"
        for statement in self._server.copy_statements(service, database=name, template=self._templates[kind]):
            self._execute(statement)
        return name

    def _drop(self, name: str) -> None:
        self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        self._loop.run_until_complete(self._connected_execute(statement))

    async def _connected_execute(self, statement: str) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._server.superuser_url())
        await self._connection.execute(statement)

    def _close(self) -> None:
        if self._connection is not None:
            self._loop.run_until_complete(self._connection.close())


def _migrate(service: str, urls: DatabaseUrls, *, keyring: Keyring, directory: Path) -> None:
    rails_file = directory / "rails.yaml"
    rails_file.write_text(rails(directory))
    environment = migrate_environment(
        service,
        around=Surroundings(
            keyring=keyring,
            assets_file=repository_root() / "assets.yaml",
            rails_file=rails_file,
            stellar_url="http://127.0.0.1:1",
            log_level="WARNING",
        ),
        database=urls,
        kafka=KafkaLogin(bootstrap_servers="127.0.0.1:1", username=service, password="unused"),  # noqa: S106 - unused
        http_port=1,
    )
    supervisor = Supervisor()
    try:
        supervisor.run_to_end(
            ProcessSpec(
                name=f"{service}-migrate",
                argv=(sys.executable, "-m", f"prizewire_{service}", "migrate"),
                environment=environment,
                log_file=directory / "logs" / f"{service}-migrate.log",
                directory=directory,
            ),
            timeout_s=MIGRATION_TIMEOUT_S,
        )
    finally:
        supervisor.stop_all()
