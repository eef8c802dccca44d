"""A service's database as it is: rights of its role, durability, backups, clock. It is read under the service's own role."""

import asyncio
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg

from prizewire_chassis.db.privileges import FILE, Privileges, read_privileges
from prizewire_devstack.database_urls import for_asyncpg
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.doctor.guards import GuardFacts, MakeFinding, judge_guards, read_guards
from prizewire_devstack.errors import DevstackError

CONNECT_S: Final = 15.0
VERSION_MIN: Final = 180_000
"""PostgreSQL 18, which has `uuidv7()`; as `server_version_num` writes it."""
ARCHIVED_WITHIN: Final = timedelta(minutes=15)
"""How much of the write-ahead log may be lost with the server, in time."""
CLOCK_DIFFERENCE_MAX: Final = timedelta(seconds=2)
DURABLE: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
STRONGER: Final = {"synchronous_commit": frozenset({"on", "remote_apply", "remote_write", "local"})}
"""Values of `synchronous_commit` with which a confirmed transaction is on the disk of this server at least."""

Right = tuple[str, str, str]
"""Table, column (empty for the whole table), kind of access."""


@dataclass(frozen=True, kw_only=True)
class DatabaseFacts:
    """What a service's role finds in its database."""

    role: str
    version: int
    encrypted: bool
    settings: Mapping[str, str]
    time: datetime
    read_at: datetime
    archived_at: datetime | None
    archive_failed_at: datetime | None
    attributes: tuple[str, ...]
    """What the role may beyond logging in: attributes, memberships, ownership, rights on databases and schemas."""
    tables: frozenset[str]
    rights: frozenset[Right]
    functions: frozenset[str]
    numbered: Mapping[str, tuple[str, ...]]
    """Tables whose rows are numbered by the database, with their other columns."""
    guards: GuardFacts = field(default_factory=GuardFacts)


def read_database(url: str) -> DatabaseFacts:
    """Read the facts of a database; `url` is that of the service's runtime role.

    Raises:
        DevstackError: it does not answer, or refuses the login. The message has no password.
    """
    url = for_asyncpg(url)
    try:
        return asyncio.run(_read(url))
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # A text about the URL itself may repeat its password.
        of_server = isinstance(error, OSError | asyncpg.PostgresError)
        why = (str(error) if of_server else "") or type(error).__name__
        raise DevstackError(
            f"The database was not read ({why}): check address, role, password and ssl= in the URL, and PGSSLROOTCERT."
        ) from error


async def _read(url: str) -> DatabaseFacts:
    connection = await asyncpg.connect(url, timeout=CONNECT_S)
    try:
        async with connection.transaction(readonly=True):
            return await _facts(connection)
    finally:
        await connection.close()


async def _facts(connection: Any) -> DatabaseFacts:
    guards = await read_guards(connection)
    archiver = await connection.fetchrow("SELECT last_archived_time, last_failed_time FROM pg_stat_archiver")
    settings = dict(await connection.fetch(_SETTINGS))
    encrypted = await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    before = datetime.now(UTC)
    time = await connection.fetchval("SELECT clock_timestamp()")
    return DatabaseFacts(
        role=await connection.fetchval("SELECT current_user::text"),
        version=int(settings["server_version_num"]),
        encrypted=bool(encrypted),
        settings=settings,
        time=time,
        read_at=before + (datetime.now(UTC) - before) / 2,
        archived_at=archiver["last_archived_time"],
        archive_failed_at=archiver["last_failed_time"],
        attributes=tuple(row[0] for row in await connection.fetch(_ATTRIBUTES)),
        tables=frozenset(row[0] for row in await connection.fetch(_TABLES)),
        rights=frozenset(tuple(row) for row in await connection.fetch(_RIGHTS)),
        functions=frozenset(row[0] for row in await connection.fetch(_FUNCTIONS)),
        numbered={row[0]: tuple(row[1]) for row in await connection.fetch(_NUMBERED)},
        guards=guards,
    )


def privileges_of(service: str) -> Privileges:
    """The rights of a service's role, as its migrations grant them."""
    spec = importlib.util.find_spec(f"prizewire_{service}")
    if spec is None or spec.origin is None:
        raise DevstackError(f"The package of {service} is not installed: install prizewire-{service}.")
    package = Path(spec.origin).parent
    for folder in (package / "migrations", package.parents[1] / "migrations"):
        if (folder / FILE).is_file():
            return read_privileges(folder / FILE)
    raise DevstackError(f"The package of {service} has no {FILE}: install prizewire-{service} again.")


def judge_database(
    service: str, facts: DatabaseFacts, *, privileges: Privileges, archived: bool
) -> Iterator[Finding]:
    """The findings about a database; `archived` says whether backups are asked for."""

    def finding(code: str, sentence: str) -> Finding:
        return Finding(code=code, place=f"database of {service}", sentence=sentence)

    if facts.version < VERSION_MIN:
        yield finding(
            "database_version", f"PostgreSQL {facts.version // 10_000} is too old: 18 or newer is needed."
        )
    if not facts.encrypted:
        yield finding(
            "database_plaintext",
            "The connection is not encrypted: add ssl=verify-full to the URL, and a certificate.",
        )
    for name, wanted in DURABLE.items():
        value = facts.settings.get(name, "")
        if value not in STRONGER.get(name, {wanted}):
            yield finding(
                "durability",
                f"{name} is {value}: set it to {wanted}, since a power failure would lose payments.",
            )
    for text in facts.attributes:
        yield finding("role_attributes", f"The role {facts.role} {text}: take that back.")
    yield from _rights(facts, privileges, finding)
    if facts.tables:
        yield from judge_guards(facts.guards, privileges=privileges, finding=finding)
    if archived:
        yield from _backups(facts, finding)
    difference = abs(facts.time - facts.read_at)
    if difference > CLOCK_DIFFERENCE_MAX:
        yield finding(
            "clock",
            f"Its clock differs from this machine's by {difference.total_seconds():.1f} s: synchronize both.",
        )


def _rights(facts: DatabaseFacts, privileges: Privileges, finding: MakeFinding) -> Iterator[Finding]:
    if not facts.tables:
        yield finding("not_migrated", "It has no tables: run the migrations before the services start.")
        return
    wanted = set(_wanted(facts, privileges))
    for table, column, access in sorted(wanted - facts.rights):
        yield finding(
            "role_rights",
            f"The role {facts.role} lacks {access} on {_named(table, column)}: run the migrations.",
        )
    for table, column, access in sorted(facts.rights - wanted):
        yield finding(
            "role_rights",
            f"The role {facts.role} has {access} on {_named(table, column)}: run the migrations.",
        )
    for function in sorted(facts.functions - set(privileges.functions)):
        yield finding(
            "role_rights",
            f"The role {facts.role} may call {function}, and privileges.yaml does not list it: revoke it from the role "
            "and from PUBLIC.",
        )


def _named(table: str, column: str) -> str:
    return f"{table}.{column}" if column else table


def _wanted(facts: DatabaseFacts, privileges: Privileges) -> Iterator[Right]:
    for table in facts.tables:
        yield table, "", "SELECT"
    for table, rights in privileges.tables.items():
        if rights.insert is True and table in facts.numbered:
            yield from ((table, column, "INSERT") for column in facts.numbered[table])
        elif rights.insert is True:
            yield table, "", "INSERT"
        elif rights.insert:
            yield from ((table, column, "INSERT") for column in rights.insert)
        yield from ((table, column, "UPDATE") for column in rights.update)
        if rights.delete:
            yield table, "", "DELETE"


def _backups(facts: DatabaseFacts, finding: MakeFinding) -> Iterator[Finding]:
    if facts.settings.get("archive_mode") not in ("on", "always"):
        yield finding("backups", "archive_mode is off: nothing after the last base backup could be restored.")
    elif facts.archived_at is None:
        yield finding("backups", "No write-ahead log was archived yet: check the object store and its login.")
    elif facts.archive_failed_at is not None and facts.archive_failed_at > facts.archived_at:
        yield finding(
            "backups",
            f"Archiving has failed since {facts.archive_failed_at:%Y-%m-%dT%H:%M:%SZ}: check the object store.",
        )
    elif facts.time - facts.archived_at > ARCHIVED_WITHIN:
        minutes = (facts.time - facts.archived_at) // timedelta(minutes=1)
        yield finding(
            "backups",
            f"The write-ahead log was archived {minutes} minutes ago: set archive_timeout to less than "
            f"{ARCHIVED_WITHIN // timedelta(minutes=1)} minutes.",
        )


_SETTINGS: Final = (
    "SELECT name, setting FROM pg_settings WHERE name IN "
    "('archive_mode', 'fsync', 'full_page_writes', 'server_version_num', 'synchronous_commit')"
)
_ATTRIBUTES: Final = """
SELECT text FROM (
    SELECT 'is a superuser' AS text FROM pg_roles WHERE rolname = current_user AND rolsuper
    UNION ALL SELECT 'may create roles' FROM pg_roles WHERE rolname = current_user AND rolcreaterole
    UNION ALL SELECT 'may create databases' FROM pg_roles WHERE rolname = current_user AND rolcreatedb
    UNION ALL SELECT 'may replicate the server' FROM pg_roles WHERE rolname = current_user AND rolreplication
    UNION ALL SELECT 'passes row security' FROM pg_roles WHERE rolname = current_user AND rolbypassrls
    UNION ALL SELECT 'is a member of ' || role.rolname FROM pg_auth_members m
        JOIN pg_roles role ON role.oid = m.roleid JOIN pg_roles member ON member.oid = m.member
        WHERE member.rolname = current_user
    UNION ALL SELECT 'owns the database' FROM pg_database
        WHERE datname = current_database() AND pg_get_userbyid(datdba) = current_user
    UNION ALL SELECT 'owns the schema ' || nspname FROM pg_namespace
        WHERE pg_get_userbyid(nspowner) = current_user AND nspname !~ '^pg_(toast|temp)'
    UNION ALL SELECT 'owns ' || c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE pg_get_userbyid(relowner) = current_user AND nspname !~ '^pg_(toast|temp)'
    UNION ALL SELECT 'owns the function ' || oid::regprocedure FROM pg_proc WHERE pg_get_userbyid(proowner) = current_user
    UNION ALL SELECT 'may ' || CASE privilege_type WHEN 'SET' THEN 'set' ELSE 'alter' END || ' the parameter ' || parname
        FROM pg_parameter_acl, aclexplode(paracl) a
        WHERE grantee = 0 OR pg_get_userbyid(grantee) = current_user
    UNION ALL SELECT 'may create tables' WHERE has_schema_privilege('public', 'CREATE')
    UNION ALL SELECT 'may ' || verb || ' the schema ' || nspname FROM pg_namespace, (VALUES ('USAGE', 'use'), ('CREATE', 'create in'))
        AS rights(name, verb) WHERE has_schema_privilege(oid, rights.name) AND nspname !~ '^pg_(toast|temp)'
        AND nspname <> 'public' AND NOT (nspname IN ('pg_catalog', 'information_schema') AND rights.name = 'USAGE')
    UNION ALL SELECT 'may create temporary tables' WHERE has_database_privilege(current_database(), 'TEMPORARY')
    UNION ALL SELECT 'may create schemas' WHERE has_database_privilege(current_database(), 'CREATE')
    UNION ALL SELECT 'may connect to the database ' || datname FROM pg_database
        WHERE datallowconn AND datname <> current_database() AND has_database_privilege(datname, 'CONNECT')
) found ORDER BY text
"""
_TABLES: Final = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"
)
"""Views too: the role may read each of them."""
_RIGHTS: Final = """
WITH me AS (SELECT oid FROM pg_roles WHERE rolname = current_user)
SELECT c.relname::text, '', a.privilege_type
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND a.grantee IN (0, (SELECT oid FROM me))
UNION
SELECT c.relname::text, t.attname::text, a.privilege_type
FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped, aclexplode(t.attacl) a
WHERE c.relnamespace = 'public'::regnamespace AND a.grantee IN (0, (SELECT oid FROM me))
"""
"""Rights of the role and of everybody; those of an owner are named with what the role owns."""
_FUNCTIONS: Final = """
SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE prosecdef AND has_function_privilege(p.oid, 'EXECUTE') AND nspname <> 'information_schema'
UNION SELECT p.oid::regprocedure::text FROM pg_proc p, aclexplode(p.proacl) a
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND pg_get_userbyid(a.grantee) = current_user
"""
"""Functions that run as their owner, and functions of PostgreSQL that were granted to the role."""
_NUMBERED: Final = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attidentity = '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
GROUP BY c.relname HAVING bool_or(a.attidentity <> '')
"""
