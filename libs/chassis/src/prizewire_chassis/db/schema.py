"""What migrations call: the chassis' first schema, append-only tables, and state machines in the database."""

from collections.abc import Iterable
from typing import Any, Final

from prizewire_chassis.db import (
    schema_v1,
    schema_v2,
    schema_v3,
    schema_v4,
    schema_v5,
    schema_v6,
    schema_v7,
    schema_v8,
)

SEARCH_PATH: Final = "pg_catalog, public, pg_temp"
"""Where our functions look. ``pg_temp`` is searched first unless it is named (PostgreSQL, CREATE FUNCTION, "Writing
SECURITY DEFINER Functions Safely"): a session's own temporary table would be read instead of the one of a guard.
"""
COUNTER_HIGH: Final = 1_000_000_000
COUNTER_STEP: Final = 10


def runtime_role(op: Any) -> str | None:
    """The role of the running service, where the migration got one."""
    config = op.get_context().config
    role: str | None = config.attributes.get("runtime_role") if config is not None else None
    return role


def create_chassis_schema_v1(op: Any) -> None:
    """Create the chassis' tables; for a service's first migration. What it makes never changes: see ``schema_v1``."""
    for statement in schema_v1.STATEMENTS:
        op.execute(statement)
    for table in ("audit_log", "assets"):
        append_only(op, table)


def create_chassis_schema_v2(op: Any) -> None:
    """Bring the chassis' tables from the first version to the second; for one further migration of every service."""
    for statement in schema_v2.STATEMENTS:
        op.execute(statement)


def create_chassis_schema_v3(op: Any) -> None:
    """Bring the chassis' tables from the second version to the third; for one further migration of every service."""
    for statement in schema_v3.STATEMENTS:
        op.execute(statement)


def create_chassis_schema_v4(op: Any) -> None:
    """Bring the chassis' tables from the third version to the fourth; for one further migration of every service."""
    for statement in schema_v4.STATEMENTS:
        op.execute(statement)


def create_chassis_schema_v5(op: Any) -> None:
    """Bring the chassis' tables from the fourth version to the fifth; for one further migration of every service."""
    for statement in schema_v5.STATEMENTS:
        op.execute(statement)


def create_chassis_schema_v6(op: Any) -> None:
    """Bring the chassis' tables from the fifth version to the sixth; for one further migration of every service."""
    for statement in schema_v6.STATEMENTS:
        op.execute(statement)


def drop_chassis_schema_v6(op: Any) -> None:
    """For the downgrade of that migration. No row changes."""
    unbound(op, times=schema_v6.TIMES)


def create_chassis_schema_v7(op: Any) -> None:
    """Bring the chassis' tables from the sixth version to the seventh; for one further migration of every service."""
    for statement in schema_v7.STATEMENTS:
        op.execute(statement)


def drop_chassis_schema_v7(op: Any) -> None:
    """For the downgrade of that migration. Traces that callers named are lost; no service needs one."""
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX audit_log_correlation")
    op.execute("DROP TABLE traces")


def create_chassis_schema_v8(op: Any) -> None:
    """Bring the chassis' tables from the seventh version to the eighth; for one further migration of every service."""
    for statement in schema_v8.STATEMENTS:
        op.execute(statement)


def drop_chassis_schema_v8(op: Any) -> None:
    """For the downgrade of that migration. No row changes."""
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX stuck_events_open")


def append_only(op: Any, table: str) -> None:
    """Refuse UPDATE, DELETE and TRUNCATE on ``table``: by trigger for everybody, by privilege for the service."""
    op.execute(
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM "{role}"')


def fix_search_path(op: Any, *functions: str) -> None:
    """Let functions that a former migration made, each given with its argument types, look along ``SEARCH_PATH``."""
    for function in functions:
        op.execute(f"ALTER FUNCTION {function} SET search_path = {SEARCH_PATH}")


def bound_times(
    op: Any, table: str, *columns: str, stated: Iterable[str] = (), days: Iterable[str] = ()
) -> None:
    """Refuse rows of ``table`` with a time that Python cannot read, or with which it cannot calculate.

    ``columns`` and the dates in ``days`` lie from the year 2000 to 9998. The times in ``stated`` are those that somebody else's
    message names: any of Python's calendar. Rows that are there already are not looked at.
    """
    bounds = [
        f"{name} BETWEEN '2000-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999999+00'" for name in columns
    ]
    bounds += [f"{name} BETWEEN '2000-01-01' AND '9998-12-31'" for name in days]
    bounds += [
        f"{name} BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00'" for name in stated
    ]
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_times CHECK ({' AND '.join(bounds)}) NOT VALID")


def bound_counters(op: Any, table: str, *columns: str) -> None:
    """Refuse rows of ``table`` with a counter that the service could not raise.

    A counter is not negative and begins at most at ``COUNTER_HIGH``; above it, it rises by at most ``COUNTER_STEP`` at once. A
    largest value alone would not do: a counter that has it stops the service as well.
    """
    op.execute(
        f"CREATE OR REPLACE FUNCTION refuse_counter() RETURNS trigger LANGUAGE plpgsql SET search_path = {SEARCH_PATH} AS $$ "
        "BEGIN RAISE EXCEPTION 'a counter of % leaps', TG_TABLE_NAME USING ERRCODE = 'check_violation'; END $$"
    )
    first = " OR ".join(f"NEW.{name} NOT BETWEEN 0 AND {COUNTER_HIGH}" for name in columns)
    leaps = " OR ".join(
        f"NEW.{name} < 0 OR NEW.{name} > greatest({COUNTER_HIGH}, coalesce(OLD.{name}, 0)::bigint + {COUNTER_STEP})"
        for name in columns
    )
    for name, when, refused in (
        ("first", "INSERT", first),
        ("leap", f"UPDATE OF {', '.join(columns)}", leaps),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_counters_{name} BEFORE {when} ON {table} "
            f"FOR EACH ROW WHEN ({refused}) EXECUTE FUNCTION refuse_counter()"
        )


def unbound(op: Any, *, times: Iterable[str] = (), counters: Iterable[str] = ()) -> None:
    """Undo ``bound_times`` and ``bound_counters`` of these tables; for downgrades."""
    for table in times:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_times")
    for table in counters:
        for name in ("first", "leap"):
            op.execute(f"DROP TRIGGER {table}_counters_{name} ON {table}")
    if counters:
        op.execute("DROP FUNCTION refuse_counter()")


def guard_transitions(
    op: Any, *, table: str, allowed: Iterable[tuple[str, str]], column: str = "state", start: Iterable[str]
) -> None:
    """Allow changes of ``table.column`` only along ``allowed`` edges, and new rows only in a ``start`` state.

    The edges lie in ``<table>_<column>_edges (from_state, to_state)``, the start states with ``from_state = ''``, so that a
    test can hold them to the domain's table.

    Guards that were made before they named their search path get it by ``fix_search_path`` in a migration of their
    service; after it both are the same.
    """
    edges = f"{table}_{column}_edges"
    op.execute(f"CREATE TABLE {edges} (from_state text, to_state text, PRIMARY KEY (from_state, to_state))")
    rows = [("", state) for state in start] + list(allowed)
    values = ", ".join(f"('{a}', '{b}')" for a, b in dict.fromkeys(rows))
    op.execute(f"INSERT INTO {edges} VALUES {values}")  # noqa: S608 - names and states come from our own tables
    # New rows are checked once for each statement, since many are inserted together; changes are checked row by row.
    op.execute(
        f"CREATE FUNCTION {edges}_check() RETURNS trigger LANGUAGE plpgsql "  # noqa: S608 - names and states come from our own migrations
        f"SET search_path = {SEARCH_PATH} AS $$ "
        f"DECLARE was text := ''; becomes text; BEGIN IF TG_OP = 'INSERT' THEN "
        f"SELECT b.{column} INTO becomes FROM (SELECT DISTINCT {column} FROM born) b WHERE NOT EXISTS "
        f"(SELECT 1 FROM {edges} e WHERE e.from_state = '' AND e.to_state = b.{column}) LIMIT 1; "
        "IF NOT FOUND THEN RETURN NULL; END IF; "
        f"ELSE was := OLD.{column}; becomes := NEW.{column}; "
        f"IF EXISTS (SELECT 1 FROM {edges} WHERE from_state = was AND to_state = becomes) THEN RETURN NEW; END IF; "
        f"END IF; RAISE EXCEPTION '{table}: % -> % is not allowed', was, becomes "
        "USING ERRCODE = 'check_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {edges}_birth AFTER INSERT ON {table} REFERENCING NEW TABLE AS born "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {edges}_check()"
    )
    op.execute(
        f"CREATE TRIGGER {edges}_guard BEFORE UPDATE OF {column} ON {table} FOR EACH ROW "
        f"WHEN (OLD.{column} IS DISTINCT FROM NEW.{column}) EXECUTE FUNCTION {edges}_check()"
    )
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {edges} FROM "{role}"')
