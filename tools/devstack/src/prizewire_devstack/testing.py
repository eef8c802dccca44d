"""Real components for tests: a pytest plugin, loaded by itself wherever this package is installed.

Everything is started lazily and once for each test session: one PostgreSQL server (a fresh database for each
call of `make_database`), one Kafka broker with principals, ACLs and all topics, and, for end-to-end and fault
tests, the whole stack. All of it lives in a temporary directory on free loopback ports. The variable
PRIZEWIRE_STACK=containers runs the whole stack in containers instead.
"""

# ruff: noqa: PLC0415 - a plugin is imported by every test run: what is heavy is loaded when a fixture needs it

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from prizewire_devstack.database_factory import DatabaseFactory
from prizewire_devstack.proxies import spare_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from prizewire_devstack.components.kafka import KafkaServer
    from prizewire_devstack.components.keys import Keyring
    from prizewire_devstack.components.postgres import PostgresServer
    from prizewire_devstack.components.processes import Supervisor
    from prizewire_devstack.fresh_databases import Databases
    from prizewire_devstack.home import Home
    from prizewire_devstack.stack import RunningStack


THROWAWAY_TOPICS: Final = "test."
MEMORY_FILES: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made inside
"""Where Linux keeps files in memory."""
MEMORY_MIN: Final = 3 * 2**30
"""The free memory in bytes that servers' files in memory need: they take about 0.5 GiB for each worker."""
MARKS: Final = {
    "postgres_server": ("postgres", "uses the PostgreSQL of its test process"),
    "kafka_server": ("kafka", "uses the Kafka broker of its test process"),
    "full_stack": ("stack", "uses the whole local stack"),
}
"""Fixture; the mark of tests that use it; the description of the mark."""
LOCAL_PROCESSES: Final = "local_processes"
"""The mark of tests that look at the processes of the local stack, such as their memory."""
STACK_VARIABLE: Final = "PRIZEWIRE_STACK"
PROCESSES: Final = "processes"
CONTAINERS: Final = "containers"
WORKER: Final = "PYTEST_XDIST_WORKER"
"""Set in each of several workers; the process that starts them has checked the engine."""


def in_containers() -> bool:
    """Whether the whole stack is to run in containers.

    Raises:
        pytest.UsageError: the variable names another kind.
    """
    chosen = os.environ.get(STACK_VARIABLE, PROCESSES)
    if chosen not in {PROCESSES, CONTAINERS}:
        raise pytest.UsageError(f"{STACK_VARIABLE} is {chosen!r}: set it to {PROCESSES} or {CONTAINERS}.")
    return chosen == CONTAINERS


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks. Tests reach local servers directly, even if the environment names a proxy. A run that was asked to
    use containers and cannot ends here, since skipped tests would pass for run ones.
    """
    spare_loopback(os.environ)
    for mark, meaning in MARKS.values():
        config.addinivalue_line("markers", f"{mark}: {meaning}")
    config.addinivalue_line("markers", f"{LOCAL_PROCESSES}: looks at the processes of the local stack")
    if in_containers() and WORKER not in os.environ:
        from prizewire_devstack.containers.engine import require_engine
        from prizewire_devstack.errors import DevstackError

        try:
            require_engine()
        except DevstackError as error:
            raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Mark each test by the parts that its fixtures start, before other hooks read the marks. Over containers, tests of local
    processes are skipped.
    """
    elsewhere = pytest.mark.skip(
        reason=f"It looks at the processes of the local stack, and {STACK_VARIABLE} is {CONTAINERS}."
    )
    for item in items:
        if in_containers() and item.get_closest_marker(LOCAL_PROCESSES):
            item.add_marker(elsewhere)
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKS:
                item.add_marker(MARKS[fixture][0])
    yield


def files_in_memory() -> Path | None:
    """The directory for files in memory, or None without enough free memory. Creating a database creates about 350 files,
    which takes ten times as long on a busy disk.
    """
    try:
        room = shutil.disk_usage(MEMORY_FILES).free
    except OSError:
        return None
    enough = min(room, psutil.virtual_memory().available) >= MEMORY_MIN
    return MEMORY_FILES if enough and os.access(MEMORY_FILES, os.W_OK) else None


@pytest.fixture(scope="session")
def devstack_directory() -> Iterator[Path]:
    """A temporary directory for the session's servers, in memory where there is enough, removed at the end."""
    with tempfile.TemporaryDirectory(
        prefix="prizewire-tests-", dir=files_in_memory(), ignore_cleanup_errors=True
    ) as name:
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
    from prizewire_devstack.fresh_databases import Databases

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
    """A function that creates a throwaway topic, which every principal may read and write, and returns its name."""
    numbers = itertools.count(1)

    def make(*, partitions: int = 4) -> str:
        name = f"{THROWAWAY_TOPICS}{os.getpid()}.{next(numbers)}"
        kafka_server.create_topics({name: partitions})
        return name

    return make


@pytest.fixture(scope="session")
def full_stack() -> Iterator[RunningStack]:
    """The whole stack with every service, for end-to-end and fault tests: local processes in a state directory of their own, or
    containers.
    """
    from prizewire_devstack.home import Home

    with (
        tempfile.TemporaryDirectory(prefix="prizewire-stack-", ignore_cleanup_errors=True) as directory,
        _whole_stack(Home(root=Path(directory))) as stack,
    ):
        yield stack


def _whole_stack(home: Home) -> AbstractContextManager[RunningStack]:
    if in_containers():
        from prizewire_devstack.containers.stack import ContainerStack

        return ContainerStack(home=home)
    from prizewire_devstack.stack import Stack

    return Stack(home=home)
