"""PostgreSQL as the stack and the fixtures start it."""

from pathlib import Path

import asyncpg
import pytest

from prizewire_devstack.components.postgres import (
    OWNER_CONNECTIONS_MAX,
    DatabaseUrls,
    PostgresServer,
    RolePasswords,
    bootstrap_sql,
    owner_of,
    runtime_connections_max,
)
from prizewire_devstack.components.processes import Supervisor
from prizewire_devstack.fresh_databases import Databases
from prizewire_devstack.ports import choose
from prizewire_devstack.testing import DatabaseFactory
from prizewire_devstack.waiting import eventually

PASSWORDS = RolePasswords(runtime="runtime-password", owner="owner-password")
RIGHTS = """
SELECT 'database', datacl::text FROM pg_database WHERE datname = current_database()
UNION ALL SELECT 'schema', pg_get_userbyid(nspowner) || ' ' || nspacl::text FROM pg_namespace WHERE nspname = 'public'
UNION ALL SELECT 'default ' || defaclobjtype::text, pg_get_userbyid(defaclrole) || ' ' || defaclacl::text FROM pg_default_acl
UNION ALL SELECT 'role', concat_ws(' ', rolname, rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolbypassrls)
  FROM pg_roles WHERE rolname LIKE '{service}%'
ORDER BY 1, 2
"""


async def execute(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(sql)
        return rows
    finally:
        await connection.close()


@pytest.fixture
def ledger_database(make_database: DatabaseFactory) -> DatabaseUrls:
    return make_database("rewards")


async def test_a_runtime_role_cannot_create_tables(ledger_database: DatabaseUrls) -> None:
    """Only the owner runs DDL: a service that is taken over cannot drop a trigger or add a table."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(ledger_database.runtime, "CREATE TABLE loot (id int)")


async def test_tables_of_the_owner_are_writable_for_the_runtime_role(ledger_database: DatabaseUrls) -> None:
    """Migrations need no GRANT: default privileges cover tables and sequences."""
    await execute(ledger_database.migration, "CREATE TABLE entries (id bigserial, note text)")
    await execute(ledger_database.runtime, "INSERT INTO entries (note) VALUES ('kept')")
    rows = await execute(ledger_database.runtime, "SELECT note FROM entries")
    assert [row["note"] for row in rows] == ["kept"]


async def test_a_migration_may_take_update_back(ledger_database: DatabaseUrls) -> None:
    """An append-only table is protected by revoking default privileges."""
    await execute(ledger_database.migration, "CREATE TABLE journal (id int)")
    await execute(ledger_database.migration, "REVOKE UPDATE, DELETE ON journal FROM rewards")
    await execute(ledger_database.runtime, "INSERT INTO journal VALUES (1)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(ledger_database.runtime, "UPDATE journal SET id = 2")


async def test_the_runtime_role_cannot_alter_its_tables(ledger_database: DatabaseUrls) -> None:
    """The role may not disable a trigger of the owner's table."""
    await execute(ledger_database.migration, "CREATE TABLE transfers (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(ledger_database.runtime, "ALTER TABLE transfers DISABLE TRIGGER ALL")


async def test_a_service_cannot_enter_another_services_database(make_database: DatabaseFactory) -> None:
    """Each service has its own database; other services cannot connect to it."""
    rewards, signer = make_database("rewards"), make_database("signer")
    url = signer.runtime.rsplit("/", 1)[0] + "/" + rewards.name
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(url, "SELECT 1")


@pytest.mark.parametrize("database", ["postgres", "template1"])
async def test_a_service_cannot_connect_to_the_servers_own_databases(
    make_database: DatabaseFactory, database: str
) -> None:
    """Neither of its two roles may connect to the databases that every server has."""
    urls = make_database("signer")
    for url in (urls.runtime, urls.migration):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(url.rsplit("/", 1)[0] + "/" + database, "SELECT 1")


async def test_a_wrong_password_is_refused(ledger_database: DatabaseUrls) -> None:
    """Passwords count on the loopback too."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await execute(ledger_database.runtime.replace("://rewards:", "://rewards:not-"), "SELECT 1")


async def test_every_call_makes_a_database_of_its_own(make_database: DatabaseFactory) -> None:
    """Tests do not see each other's rows."""
    first, second = make_database("rewards"), make_database("rewards")
    await execute(first.migration, "CREATE TABLE only_here (id int)")
    with pytest.raises(asyncpg.UndefinedTableError):
        await execute(second.runtime, "SELECT * FROM only_here")


async def test_databases_are_dropped_after_their_test(
    devstack_databases: Databases, postgres_server: PostgresServer
) -> None:
    """Databases with connections are dropped too, so a session has few databases left at its end."""
    with devstack_databases.dropped_at_the_end() as make:
        urls = make("rewards")
        connection = await asyncpg.connect(urls.runtime)

    def gone() -> bool:
        found = postgres_server.run_sql(f"SELECT count(*) FROM pg_database WHERE datname = '{urls.name}'")
        return found == "0"

    await eventually(gone)
    connection.terminate()


async def test_committed_rows_survive_a_kill_and_a_stop(tmp_path: Path) -> None:
    """After SIGKILL the server comes back on the same port and directory with what was committed. Its roles hold only so
    many connections.
    """
    supervisor = Supervisor()
    server = PostgresServer(
        data_dir=tmp_path / "data",
        port=choose(taken=set()),
        superuser_password="superuser-password",
        supervisor=supervisor,
        log_file=tmp_path / "postgres.log",
    )
    try:
        server.start()
        urls = server.ensure_service("settlement", passwords=PASSWORDS)
        assert server.run_sql("SHOW fsync") == "on"
        await _holds_at_most(urls.runtime, runtime_connections_max(1))
        await _holds_at_most(urls.migration, OWNER_CONNECTIONS_MAX)
        await execute(urls.migration, "CREATE TABLE rounds (id int)")
        await execute(urls.runtime, "INSERT INTO rounds VALUES (1)")
        server.kill()
        assert (tmp_path / "data" / "postmaster.pid").is_file(), "the kill left a stale pid file"
        server.start()
        await execute(urls.runtime, "INSERT INTO rounds VALUES (2)")
        server.stop()
        server.start()
        assert server.ensure_service("settlement", passwords=PASSWORDS) == urls
        rows = await execute(urls.runtime, "SELECT id FROM rounds ORDER BY id")
        assert [row["id"] for row in rows] == [1, 2]
    finally:
        supervisor.stop_all()


async def _holds_at_most(url: str, most: int) -> None:
    held = [await asyncpg.connect(url) for _ in range(most)]
    try:
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await asyncpg.connect(url)
    finally:
        for connection in held:
            await connection.close()


def _rights(server: PostgresServer, service: str) -> str:
    return server.run_sql(RIGHTS.format(service=service), database=service).replace(service, "SERVICE")


def test_a_cluster_gives_the_rights_of_the_local_stack(postgres_server: PostgresServer) -> None:
    """An operator makes owner and database, and runs the statements of the manifest: the rights are the same as here."""
    by_operator, by_stack = "spare_cluster", "spare_stack"
    try:
        postgres_server.ensure_service(by_stack, passwords=PASSWORDS)
        sql = bootstrap_sql(by_operator)
        owner = owner_of(by_operator)
        postgres_server.run_sql(f"CREATE ROLE {owner} LOGIN;" + ";".join(sql.server))
        postgres_server.run_sql(f"CREATE DATABASE {by_operator} OWNER {owner} TEMPLATE template0")
        postgres_server.run_sql(";".join(sql.database), database=by_operator)
        assert _rights(postgres_server, by_operator) == _rights(postgres_server, by_stack)
        assert "SERVICE_owner" in _rights(postgres_server, by_stack)
    finally:
        for name in (by_operator, by_stack):
            postgres_server.run_sql(f"DROP DATABASE IF EXISTS {name}")
            postgres_server.run_sql(f"DROP ROLE IF EXISTS {name}; DROP ROLE IF EXISTS {owner_of(name)}")
