"""What migrations call: the chassis' first schema, append-only tables, and state machines in the database."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import MetaData

from prizewire_chassis.db.tables import chassis_tables

__all__ = ["append_only", "create_chassis_schema", "guard_transitions", "runtime_role"]


def runtime_role(op: Any) -> str | None:
    """The role the service runs under, where the migration was told."""
    config = op.get_context().config
    role: str | None = config.attributes.get("runtime_role") if config is not None else None
    return role


def create_chassis_schema(op: Any) -> None:
    """Create the chassis' tables; for a service's first migration."""
    metadata = MetaData()
    chassis_tables(metadata)
    metadata.create_all(op.get_bind())
    append_only(op, "audit_log")


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


def guard_transitions(
    op: Any, *, table: str, allowed: Iterable[tuple[str, str]], column: str = "state", start: Iterable[str]
) -> None:
    """Let ``table.column`` move only along ``allowed`` edges, and rows be born only in a ``start`` state.

    The edges lie in ``<table>_<column>_edges (from_state, to_state)``, a birth as ``from_state = ''``, so that a
    test can hold them to the domain's table.
    """
    edges = f"{table}_{column}_edges"
    op.execute(f"CREATE TABLE {edges} (from_state text, to_state text, PRIMARY KEY (from_state, to_state))")
    rows = [("", state) for state in start] + list(allowed)
    values = ", ".join(f"('{a}', '{b}')" for a, b in dict.fromkeys(rows))
    op.execute(f"INSERT INTO {edges} VALUES {values}")  # noqa: S608 - names and states come from our own tables
    op.execute(  # names and states come from our own migrations
        f"CREATE FUNCTION {edges}_check() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE was text := ''; BEGIN "  # noqa: S608 - see above
        f"IF TG_OP = 'UPDATE' THEN was := OLD.{column}; IF was = NEW.{column} THEN RETURN NEW; END IF; END IF; "
        f"IF NOT EXISTS (SELECT 1 FROM {edges} WHERE from_state = was AND to_state = NEW.{column}) THEN "
        f"RAISE EXCEPTION '{table}: % -> % is not allowed', was, NEW.{column} USING ERRCODE = 'check_violation'; "
        "END IF; RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {edges}_guard BEFORE INSERT OR UPDATE OF {column} ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {edges}_check()"
    )
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {edges} FROM "{role}"')
