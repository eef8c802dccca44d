"""Real components for tests: a pytest plugin, loaded by itself wherever this package is installed.

Everything is started lazily and once for each test session: one PostgreSQL server (a fresh database for each
call of `make_database`), one Kafka broker with principals, ACLs and all topics, and, for end-to-end and fault
tests, the whole stack. All of it lives in a temporary directory on free loopback ports.
"""

# ruff: noqa: PLC0415 - a plugin is imported by every test run: what is heavy is loaded when a fixture needs it

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import pytest

from prizewire_devstack.proxies import spare_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from prizewire_devstack.components.kafka import KafkaServer
    from prizewire_devstack.components.keys import Keyring
    from prizewire_devstack.components.postgres import DatabaseUrls, PostgresServer
    from prizewire_devstack.components.processes import Supervisor
    from prizewire_devstack.stack import Stack


THROWAWAY_TOPICS = "test."


def pytest_configure() -> None:
    """Tests reach what they start directly, also where the environment names a proxy."""
    spare_loopback(os.environ)


class DatabaseFactory(Protocol):
    """Makes a fresh database for a service; `migrated` gives it the service's tables."""

    def __call__(self, service: str, *, migrated: bool = False) -> DatabaseUrls:
        """Return how the service's two roles reach the new database."""


@pytest.fixture(scope="session")
def devstack_directory() -> Iterator[Path]:
    """A temporary directory for the session's servers, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="prizewire-tests-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def devstack_supervisor() -> Iterator[Supervisor]:
    """Owns the session's server processes."""
    from prizewire_devstack.components.processes import Supervisor

    supervisor = Supervisor()
    yield supervisor
    supervisor.stop_all()


@pytest.fixture(scope="session")
def keyring(devstack_directory: Path) -> Keyring:
    """Message keys, trust.json, token key and credentials, generated for this session."""
    from prizewire_devstack.components.keys import Keyring
    from prizewire_devstack.home import Home

    home = Home(root=devstack_directory)
    home.create()
    made = Keyring(home=home)
    made.ensure(now=datetime.now(UTC))
    return made


@pytest.fixture(scope="session")
def postgres_server(
    devstack_directory: Path, devstack_supervisor: Supervisor, keyring: Keyring
) -> Iterator[PostgresServer]:
    """One PostgreSQL 18 server for the session, without fsync."""
    from prizewire_devstack.components.postgres import (
        THROWAWAY_SETTINGS,
        PostgresServer,
    )
    from prizewire_devstack.ports import choose

    server = PostgresServer(
        data_dir=devstack_directory / "postgres",
        port=choose(taken=set()),
        superuser_password=keyring.superuser_password(),
        supervisor=devstack_supervisor,
        log_file=devstack_directory / "logs" / "postgres.log",
        settings=THROWAWAY_SETTINGS,
        limited=False,
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def devstack_databases(
    postgres_server: PostgresServer, keyring: Keyring, devstack_directory: Path
) -> Iterator[Databases]:
    """What makes and drops the session's databases."""
    with Databases(server=postgres_server, keyring=keyring, directory=devstack_directory) as databases:
        yield databases


@pytest.fixture
def make_database(devstack_databases: Databases) -> Iterator[DatabaseFactory]:
    """A function that makes a fresh database, and the two roles, for a service. It is dropped after the test."""
    with devstack_databases.dropped_at_the_end() as make:
        yield make


@pytest.fixture(scope="module")
def make_module_database(devstack_databases: Databases) -> Iterator[DatabaseFactory]:
    """As `make_database`, for fixtures that all tests of a module share. It is dropped after the module."""
    with devstack_databases.dropped_at_the_end() as make:
        yield make


class Databases:
    """Databases of tests on one server.

    They are dropped as soon as their tests are over, beside the tests that follow. A database is some 500 files: while they
    are new they cost little to remove, and a thousand databases at the end of a session cost many minutes.
    """

    def __init__(self, *, server: PostgresServer, keyring: Keyring, directory: Path) -> None:
        self._server = server
        self._keyring = keyring
        self._directory = directory
        self._numbers = itertools.count(1)
        self._templates: dict[str, str] = {}
        self._dropping = ThreadPoolExecutor(max_workers=1)
        self._drops: list[Future[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._dropping.shutdown()
        for drop in self._drops:
            drop.result()

    @contextmanager
    def dropped_at_the_end(self) -> Iterator[DatabaseFactory]:
        """A function that makes databases, which are dropped at the exit."""
        made: list[str] = []

        def make(service: str, *, migrated: bool = False) -> DatabaseUrls:
            urls = self._make(service, migrated=migrated)
            made.append(urls.name)
            return urls

        try:
            yield make
        finally:
            drops = "".join(f'DROP DATABASE "{name}" WITH (FORCE);\n' for name in made)
            if drops:
                self._drops.append(self._dropping.submit(self._server.run_sql, drops))

    def _make(self, service: str, *, migrated: bool) -> DatabaseUrls:
        database = f"{service}_{next(self._numbers)}"
        passwords = self._keyring.role_passwords(service)
        if migrated:
            return self._server.copy_database(
                service, passwords=passwords, database=database, template=self._template_of(service)
            )
        return self._server.ensure_service(service, passwords=passwords, database=database)

    def _template_of(self, service: str) -> str:
        if service not in self._templates:
            name = f"{service}_template"
            urls = self._server.ensure_service(
                service, passwords=self._keyring.role_passwords(service), database=name
            )
            _migrate(service, urls, keyring=self._keyring, directory=self._directory)
            self._templates[service] = name
        return self._templates[service]


def _migrate(service: str, urls: DatabaseUrls, *, keyring: Keyring, directory: Path) -> None:
    from prizewire_devstack.components.kafka import KafkaLogin
    from prizewire_devstack.components.processes import (
        ProcessSpec,
        run_to_end,
    )
    from prizewire_devstack.home import repository_root
    from prizewire_devstack.stack.environment import (
        Surroundings,
        migrate_environment,
        rails,
    )

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
    run_to_end(
        ProcessSpec(
            name=f"{service}-migrate",
            argv=(sys.executable, "-m", f"prizewire_{service}", "migrate"),
            environment=environment,
            log_file=directory / "logs" / f"{service}-migrate.log",
            directory=directory,
        ),
        timeout_s=120,
    )


@pytest.fixture(scope="session")
def kafka_server(
    devstack_directory: Path, devstack_supervisor: Supervisor, keyring: Keyring
) -> Iterator[KafkaServer]:
    """One Kafka broker for the session: SCRAM, ACLs, every topic of the contracts."""
    from prizewire_devstack.components import kafka_jars
    from prizewire_devstack.components.kafka import KafkaServer
    from prizewire_devstack.ports import choose

    taken: set[int] = set()
    server = KafkaServer(
        data_dir=devstack_directory / "kafka",
        port=choose(taken=taken),
        controller_port=choose(taken=taken),
        passwords=keyring.kafka_passwords(),
        controller_password=keyring.kafka_controller_password(),
        supervisor=devstack_supervisor,
        log_file=devstack_directory / "logs" / "kafka.log",
    )
    server.start(kafka_jars.classpath())
    server.provision()
    server.allow_everybody(THROWAWAY_TOPICS)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def make_topic(kafka_server: KafkaServer) -> Callable[..., str]:
    """A function that makes a throwaway topic which every principal may read and write; returns its name."""
    numbers = itertools.count(1)

    def make(*, partitions: int = 4) -> str:
        name = f"{THROWAWAY_TOPICS}{os.getpid()}.{next(numbers)}"
        kafka_server.create_topics({name: partitions})
        return name

    return make


@pytest.fixture(scope="session")
def full_stack() -> Iterator[Stack]:
    """The whole stack with every service, in a state directory of its own; for end-to-end and fault tests."""
    from prizewire_devstack.home import Home
    from prizewire_devstack.stack import Stack

    with (
        tempfile.TemporaryDirectory(prefix="prizewire-stack-", ignore_cleanup_errors=True) as directory,
        Stack(home=Home(root=Path(directory))) as stack,
    ):
        yield stack
