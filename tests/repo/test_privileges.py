"""Each table and column of a migration is listed in the service's table of privileges."""

import ast
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from prizewire_chassis import db
from prizewire_chassis.db.database import CONNECTIONS_MAX
from prizewire_chassis.db.privileges import CHASSIS, FILE, Rights, read_privileges
from prizewire_devstack.components.postgres import (
    OWNER_CONNECTIONS_MAX,
    PROCESS_CONNECTIONS_MAX,
    connections_max,
    runtime_connections_max,
)
from tests.repo.house import Repository

SCHEMAS = {
    module.name: import_module(f"prizewire_chassis.db.{module.name}")
    for module in iter_modules(db.__path__)
    if module.name.startswith("schema_v")
}
SERVICES = ("payouts", "rewards", "settlement", "signer", "webhooks")


def statements(folder: Path) -> Iterator[str]:
    """Every text in a service's migrations but for the ways back; of an f-string, its constant parts put together."""
    for path in sorted((folder / "migrations" / "versions").glob("*.py")):
        module = ast.parse(path.read_text())
        module.body = [part for part in module.body if getattr(part, "name", "") != "downgrade"]
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))


def unnamed(found: list[str], tables: Mapping[str, Rights]) -> list[str]:
    """Tables, and columns of tables whose rows change, that these statements make and the table does not name."""
    dropped = {name for text in found for name in re.findall(r"DROP TABLE (?:IF EXISTS )?(\w+)", text)}
    missing = []
    for text in found:
        missing += [
            table
            for table in re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", text)
            if table not in tables and table not in dropped and not table.endswith("_edges")
        ]
        for table, rest in re.findall(r"ALTER TABLE (?:ONLY )?(\w+)([^;]*)", text):
            rights = tables.get(table)
            missing += [
                f"{table}.{column}"
                for column in re.findall(r"ADD COLUMN (?:IF NOT EXISTS )?(\w+)", rest)
                if rights is not None and rights.fixed and column not in (*rights.update, *rights.fixed)
            ]
    return missing


def test_tables_of_the_chassis_are_in_its_table_of_privileges() -> None:
    """Each version of its schema."""
    found = [text for schema in SCHEMAS.values() for text in schema.STATEMENTS]
    assert len(found) > 10
    assert unnamed(found, CHASSIS.tables) == [], (
        "say in prizewire_chassis.db.privileges what services may do with them"
    )


@pytest.mark.parametrize("service", SERVICES)
def test_tables_of_migrations_are_in_the_table_of_privileges(repository: Repository, service: str) -> None:
    """A new table is named, and so is a new column of a table whose rows change: the database grants nothing else."""
    folder = repository.root / "services" / service
    tables = read_privileges(folder / "migrations" / FILE).tables
    missing = unnamed(list(statements(folder)), tables)
    assert missing == [], f"say in services/{service}/migrations/{FILE} what the service may do with them"


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_no_role_can_take_all_connections(replicas: int) -> None:
    """The pools of all processes of a service, and of one that starts beside them, fit into its role's limit; the roles of all
    services fit into the server.
    """
    reserved = 3  # PostgreSQL keeps these for superusers (superuser_reserved_connections)
    assert PROCESS_CONNECTIONS_MAX == CONNECTIONS_MAX
    assert runtime_connections_max(replicas) > (replicas + 1) * CONNECTIONS_MAX
    every = len(SERVICES) * (runtime_connections_max(replicas) + OWNER_CONNECTIONS_MAX)
    assert every <= connections_max(replicas) - reserved
