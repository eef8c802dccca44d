"""The rights of each service's role in its database are exactly those in its table of privileges."""

from collections.abc import Iterator

import asyncpg
import pytest

from prizewire_chassis.db.privileges import FILE, Privileges, read_privileges
from prizewire_devstack.testing import DatabaseFactory
from tests.repo.house import Repository

SERVICES = ("payouts", "rewards", "settlement", "signer", "webhooks")
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")

_HELD = """
    SELECT c.relname AS table, a.attname AS column, p.name AS right, a.attidentity <> '' AS numbers,
        CASE WHEN p.name IN ('DELETE', 'TRUNCATE', 'TRIGGER', 'MAINTAIN') THEN has_table_privilege(c.oid, p.name)
        ELSE has_column_privilege(c.oid, a.attnum, p.name) END AS held
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN unnest($1::text[]) AS p(name)
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
"""
_FUNCTIONS = """
    SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
    AND has_function_privilege(oid, 'EXECUTE')
"""
_REST = """
    SELECT 'owns ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    AND pg_has_role(current_user, relowner, 'USAGE')
    UNION ALL SELECT 'creates in ' || nspname FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')
    UNION ALL SELECT 'makes schemas' WHERE has_database_privilege(current_database(), 'CREATE')
    UNION ALL SELECT 'makes temporary tables' WHERE has_database_privilege(current_database(), 'TEMPORARY')
    UNION ALL SELECT 'moves ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
    AND (has_sequence_privilege(oid, 'USAGE') OR has_sequence_privilege(oid, 'UPDATE'))
"""
_TRIGGERS = """
    SELECT tgrelid::regclass::text, tgname, tgfoid::regproc::text FROM pg_trigger WHERE NOT tgisinternal
"""


def granted(
    privileges: Privileges, columns: dict[str, list[str]], numbers: set[tuple[str, str]]
) -> Iterator[tuple[str, str, str]]:
    """What the table says, column by column. Nobody chooses the ``numbers`` of rows."""
    for name, found in columns.items():
        rights = privileges.tables.get(name)
        insert = rights.insert if rights is not None else False
        for column in found:
            yield name, column, "SELECT"
            if (insert is True and (name, column) not in numbers) or (
                insert and insert is not True and column in insert
            ):
                yield name, column, "INSERT"
            if rights is not None and column in rights.update:
                yield name, column, "UPDATE"
            if rights is not None and rights.delete:
                yield name, column, "DELETE"


@pytest.mark.parametrize("service", SERVICES)
async def test_the_rights_of_a_role_equal_its_table(
    repository: Repository, make_database: DatabaseFactory, service: str
) -> None:
    """Every table, column, function and right of the role is looked at in the migrated database."""
    privileges = read_privileges(repository.root / "services" / service / "migrations" / FILE)
    connection = await asyncpg.connect(make_database(service, migrated=True).runtime)
    rows = await connection.fetch(_HELD, list(RIGHTS))
    functions = {row[0] for row in await connection.fetch(_FUNCTIONS)}
    rest = [row[0] for row in await connection.fetch(_REST)]
    await connection.close()
    columns: dict[str, list[str]] = {}
    for row in rows:
        if row["right"] == "SELECT":
            columns.setdefault(row["table"], []).append(row["column"])
    held = {(row["table"], row["column"], row["right"]) for row in rows if row["held"]}
    numbers = {(row["table"], row["column"]) for row in rows if row["numbers"]}
    assert {right for name, column, right in held if (name, column) in numbers} <= {"SELECT", "DELETE"}
    assert held == set(granted(privileges, columns, numbers))
    assert functions == set(privileges.functions)
    assert rest == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_table_of_privileges_names_every_column(
    repository: Repository, make_database: DatabaseFactory, service: str
) -> None:
    """In a table with updates, each column is listed as changing or as fixed; so a new column is not forgotten."""
    privileges = read_privileges(repository.root / "services" / service / "migrations" / FILE)
    connection = await asyncpg.connect(make_database(service, migrated=True).migration)
    rows = await connection.fetch(_HELD, ["SELECT"])
    await connection.close()
    columns: dict[str, set[str]] = {}
    for row in rows:
        columns.setdefault(row["table"], set()).add(row["column"])
    for name, rights in privileges.tables.items():
        if rights.fixed:
            assert set(rights.update) ^ set(rights.fixed) == columns[name], name


@pytest.mark.parametrize("service", SERVICES)
async def test_a_table_of_privileges_names_every_trigger(
    repository: Repository, make_database: DatabaseFactory, service: str
) -> None:
    """The doctor looks for the triggers that are listed, with their functions."""
    privileges = read_privileges(repository.root / "services" / service / "migrations" / FILE)
    connection = await asyncpg.connect(make_database(service, migrated=True).runtime)
    rows = await connection.fetch(_TRIGGERS)
    await connection.close()
    found: dict[str, dict[str, str]] = {}
    for table, name, function in rows:
        found.setdefault(table, {})[name] = function
    assert privileges.triggers == found


REFUSED = {
    "an asset": "INSERT INTO assets (code, decimals, redeemable) VALUES ('GOLD', 0, true)",
    "what a campaign was funded with": "UPDATE campaigns SET funded = funded + 1",
    "a campaign with money": "INSERT INTO campaigns (id, funded) VALUES (gen_random_uuid(), 1)",
    "a row of the inbox": "DELETE FROM inbox",
    "the whole inbox": "TRUNCATE inbox",
    "the version of the schema": "DELETE FROM alembic_version",
    "a transfer": "DELETE FROM ledger_transfers",
    "a balance": "UPDATE ledger_accounts SET balance = balance + 1",
    "a way of money": "INSERT INTO ledger_edges VALUES ('prize_credited', 'entry_fees', 'pool', false)",
    "an audit record": "DELETE FROM audit_log",
    "the number of a transfer": (
        "INSERT INTO ledger_transfers (seq, group_no, amount, at, id, debit_account, credit_account, type, debit_kind, "
        "credit_kind, asset) OVERRIDING SYSTEM VALUE SELECT 9223372036854775807, group_no, amount, at, id, debit_account, "
        "credit_account, type, debit_kind, credit_kind, asset FROM ledger_transfers"
    ),
    "the number of a group": (
        "INSERT INTO ledger_groups (no, cause, correlation_id) OVERRIDING SYSTEM VALUE VALUES (300, 'x', 'x')"
    ),
    "the number of an event": (
        "INSERT INTO outbox (id, topic, key, value, event_id, created_at) OVERRIDING SYSTEM VALUE "
        "VALUES (9223372036854775807, 'x', '', '', 'x', now())"
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_the_role_of_rewards_has_no_further_rights(make_database: DatabaseFactory, what: str) -> None:
    """With the password of the service's role one cannot create an asset or funds, or delete rows of the inbox."""
    connection = await asyncpg.connect(make_database("rewards", migrated=True).runtime)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(REFUSED[what])
    await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_no_role_can_end_the_audit_chain(make_database: DatabaseFactory, service: str) -> None:
    """Each service's migrations make the guard: a record with the largest number is refused."""
    connection = await asyncpg.connect(make_database(service, migrated=True).runtime)
    with pytest.raises(asyncpg.CheckViolationError, match="does not continue the chain"):
        await connection.execute(
            "INSERT INTO audit_log (sequence, at, actor, action, target, detail, correlation_id, prev_hash, hash) "
            "VALUES (9223372036854775807, now(), 'x', 'x', 'x', '{}', 'x', repeat('0', 64), repeat('f', 64))"
        )
    await connection.close()
