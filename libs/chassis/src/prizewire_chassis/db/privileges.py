"""The rights of a service's role in its database: a table of data that every ``migrate`` applies.

The rights on a service's own tables are in ``migrations/privileges.yaml``, those on the chassis' tables here. Nothing else
is granted: rights from former migrations or from the database's default privileges are revoked first.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import yaml
from sqlalchemy import Connection, text

FILE: Final = "privileges.yaml"
_FIELDS: Final = frozenset({"insert", "update", "delete", "fixed"})


class Rights(NamedTuple):
    """What may be done with one table; it may always be read.

    ``insert``: whether, or which columns a new row may name; where it is true, all but those that number the rows
    (``GENERATED AS IDENTITY``), so that nobody chooses a number. ``update``: the columns that change. ``fixed``: those of a
    table with ``update`` that never do.
    """

    insert: bool | tuple[str, ...] = False
    update: tuple[str, ...] = ()
    delete: bool = False
    fixed: tuple[str, ...] = ()


class Privileges(NamedTuple):
    """Rights by table, the functions that run with their owner's rights and may be called, and the triggers that guard tables:
    by table and name, the function of each.
    """

    tables: Mapping[str, Rights]
    functions: tuple[str, ...]
    triggers: Mapping[str, Mapping[str, str]] = MappingProxyType({})


_STUCK: Final = (
    "event_id source subject type version correlation_id state reason detail value recorded_at replayed_at replayed_by "
    "discarded_at discarded_by discard_reason"
)
CHASSIS: Final = Privileges(
    {
        "alembic_version": Rights(),
        "assets": Rights(),
        "applied_versions": Rights(insert=True, update=("version",), fixed=("consumer", "source", "subject")),
        "audit_log": Rights(insert=True),
        "consumer_offsets": Rights(
            insert=True,
            update=("next_offset", "last_hash", "updated_at"),
            fixed=("consumer", "topic", "partition"),
        ),
        "idempotency_keys": Rights(
            insert=True,
            update=("status", "answer"),
            fixed=("actor", "route", "key", "body_hash", "created_at"),
        ),
        "inbox": Rights(insert=True),
        "outbox": Rights(insert=True, delete=True),
        # A row is locked before it is deleted, which takes the right to update one column.
        "outbox_waiting": Rights(insert=True, delete=True, update=("id",)),
        "stuck_events": Rights(
            insert=True,
            update=tuple(_STUCK.split()),
            fixed=("id", "consumer", "topic", "partition", "offset"),
        ),
        "traces": Rights(insert=True, delete=True),
    },
    ("inbox_forget(text,text[],text[],bytea[])",),
    {
        "assets": {"assets_append_only": "refuse_change"},
        "audit_log": {"audit_log_append_only": "refuse_change", "audit_log_continues": "audit_log_continues"},
    },
)
"""The tables that every service has."""


def read_privileges(path: Path) -> Privileges:
    """A service's table, with the chassis' own.

    Raises:
        ValueError: the file has another form, or names a table of the chassis with rights.
    """
    document = yaml.safe_load(path.read_text())
    if not isinstance(document, dict) or set(document) != {"tables", "functions", "triggers"}:
        raise ValueError(f"{path.name} must have `tables`, `functions` and `triggers`, and nothing else")
    tables = {name: _rights(path, name, fields) for name, fields in document["tables"].items()}
    if twice := sorted(tables.keys() & CHASSIS.tables.keys()):
        raise ValueError(f"{path.name} names {', '.join(twice)}, which the chassis grants")
    return Privileges(
        {**CHASSIS.tables, **tables},
        (*CHASSIS.functions, *document["functions"]),
        _merged(CHASSIS.triggers, document["triggers"]),
    )


def _merged(*parts: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for part in parts:
        for table, own in part.items():
            found.setdefault(table, {}).update(own)
    return found


def _rights(path: Path, name: str, fields: Any) -> Rights:
    if not isinstance(fields, dict) or not fields.keys() <= _FIELDS:
        raise ValueError(f"{path.name}: {name} may have {', '.join(sorted(_FIELDS))}, and nothing else")
    insert = fields.get("insert", False)
    return Rights(
        insert=tuple(insert) if isinstance(insert, list) else bool(insert),
        update=tuple(fields.get("update", ())),
        delete=bool(fields.get("delete", False)),
        fixed=tuple(fields.get("fixed", ())),
    )


def grant_privileges(connection: Connection, *, role: str, privileges: Privileges) -> None:
    """Give ``role`` what the table says and nothing else, as the owner of the schema, in the caller's transaction.

    Raises:
        ValueError: the database has a table that the table of privileges does not name, or lacks one that it names.
    """
    found = set(connection.scalars(text(_TABLES)))
    named = privileges.tables.keys() | {name for name in found if name.endswith("_edges")}
    if wrong := sorted(found ^ named):
        raise ValueError(
            f"{FILE} and the database differ in {', '.join(wrong)}: say there what the service may do with each table"
        )
    numbered = {row.relname: tuple(row.others) for row in connection.execute(text(_NUMBERED))}
    for statement in (*_revocations(connection, role), *_grants(role, privileges, numbered)):
        connection.exec_driver_sql(statement)


def _revocations(connection: Connection, role: str) -> Iterable[str]:
    yield f'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "{role}"'
    yield f'REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM "{role}"'
    for function in connection.scalars(text(_FUNCTIONS)).all():
        yield f'REVOKE ALL ON FUNCTION {function} FROM PUBLIC, "{role}"'


def _grants(role: str, privileges: Privileges, numbered: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    yield f'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{role}"'
    for name, rights in sorted(privileges.tables.items()):
        rules = []
        if rights.insert is True and name in numbered:
            rules.append(f"INSERT ({_columns(numbered[name])})")
        elif rights.insert is True:
            rules.append("INSERT")
        elif rights.insert:
            rules.append(f"INSERT ({_columns(rights.insert)})")
        if rights.update:
            rules.append(f"UPDATE ({_columns(rights.update)})")
        if rights.delete:
            rules.append("DELETE")
        if rules:
            yield f'GRANT {", ".join(rules)} ON "{name}" TO "{role}"'
    for function in privileges.functions:
        yield f'GRANT EXECUTE ON FUNCTION {function} TO "{role}"'


def _columns(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# Tables whose rows are numbered, with their other columns.
_NUMBERED = (
    "SELECT c.relname, array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attidentity = '') AS others "
    "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') "
    "GROUP BY c.relname HAVING bool_or(a.attidentity <> '')"
)
_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
_FUNCTIONS = (
    "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
)
