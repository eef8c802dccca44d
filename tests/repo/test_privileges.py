"""A migration that makes a table or a column says what the service may do with it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from prizewire_chassis.db.privileges import FILE, read_privileges
from tests.repo.house import Repository

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


@pytest.mark.parametrize("service", SERVICES)
def test_what_migrations_make_stands_in_the_table_of_privileges(repository: Repository, service: str) -> None:
    """A new table is named, and so is a new column of a table whose rows change: the database grants nothing else."""
    folder = repository.root / "services" / service
    tables = read_privileges(folder / "migrations" / FILE).tables
    found = list(statements(folder))
    dropped = {name for text in found for name in re.findall(r"DROP TABLE (?:IF EXISTS )?(\w+)", text)}
    missing = []
    for text in found:
        for table in re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", text):
            if table not in tables and table not in dropped and not table.endswith("_edges"):
                missing.append(table)  # noqa: PERF401 - beside the loop below it reads best so
        for table, rest in re.findall(r"ALTER TABLE (?:ONLY )?(\w+)([^;]*)", text):
            for column in re.findall(r"ADD COLUMN (?:IF NOT EXISTS )?(\w+)", rest):
                rights = tables.get(table)
                if rights is not None and rights.fixed and column not in (*rights.update, *rights.fixed):
                    missing.append(f"{table}.{column}")
    assert missing == [], f"say in services/{service}/migrations/{FILE} what the service may do with them"
