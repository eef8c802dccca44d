"""Migrations, run on a real database: they build what the tables say, and lock nothing for long."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, event, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from prizewire_chassis.db.migrate import migrate
from prizewire_devstack.testing import DatabaseFactory
from tests.repo.house import Repository

ROOT = Path(__file__).parents[3]
SERVICES = ("payouts", "rewards", "settlement", "signer", "webhooks")
# Rules of squawk that have no say here, each with its reason.
SQUAWK_EXCLUDED = {
    "prefer-robust-stmts": "Alembic runs all revisions in one transaction: a half-applied one does not exist",
    "require-timeout-settings": "the chassis sets lock_timeout for every migration",
    "require-concurrent-index-creation": "inside a transaction an index cannot be built concurrently",
    "prefer-bigint-over-int": "counters of attempts and versions stay small; money and sequences are bigint",
}

_SEARCHING_ANYWHERE = """
    SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    AND array_position(proconfig, 'search_path=pg_catalog, public, pg_temp') IS NULL
"""


@contextmanager
def recorded_statements() -> Iterator[list[str]]:
    """Every statement that any SQLAlchemy engine of this process runs meanwhile."""
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement.strip().rstrip(";"))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)


def upgrade(repository: Repository, name: str, url: str) -> list[str]:
    """Run all migrations of a service; the statements they ran."""
    with recorded_statements() as statements:
        migrate(
            url=url, script_location=repository.root / "services" / name / "migrations", runtime_role=None
        )
    return statements


def revisions(statements: list[str]) -> list[str]:
    """The DDL of each revision as one SQL text; Alembic's own version table separates them."""
    texts: list[list[str]] = [[]]
    for statement in statements:
        if re.match(r"(INSERT INTO|UPDATE) alembic_version", statement):
            texts.append([])
        elif (
            re.match(r"(-- squawk-ignore .*\n)?(CREATE|ALTER|DROP)\b", statement)
            and "alembic_version" not in statement
        ):
            texts[-1].append(statement)
    return [";\n".join(lines) + ";\n" for lines in texts if lines]


def differences(connection: Connection, metadata: MetaData) -> list[Any]:
    """What Alembic would have to change; the tables of permitted edges belong to the chassis' triggers."""

    def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return not (kind == "table" and (name or "").endswith("_edges"))

    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
    return list(compare_metadata(context, metadata))


def tables_of(repository: Repository, name: str) -> MetaData:
    """A service's metadata once each of its tables modules has added its own."""
    source = repository.root / "services" / name / "src"
    for path in sorted((source / f"prizewire_{name}" / "adapters").rglob("tables.py")):
        import_module(".".join(path.relative_to(source).with_suffix("").parts))
    metadata: MetaData = import_module(f"prizewire_{name}.adapters.tables").metadata
    return metadata


SERVICES_WITH_TABLES = tuple(
    name for name in SERVICES if any((ROOT / "services" / name / "src").glob("*/adapters/tables*"))
)
"""Services that still describe their tables beside the migrations."""


@pytest.mark.parametrize("name", SERVICES_WITH_TABLES)
async def test_migrations_build_what_the_tables_say(
    repository: Repository, make_database: DatabaseFactory, name: str
) -> None:
    """After all migrations the database has exactly the service's tables."""
    url = make_database(name).migration
    await asyncio.to_thread(upgrade, repository, name, url)
    metadata = tables_of(repository, name)
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        found = await connection.run_sync(differences, metadata)
    await engine.dispose()
    assert found == []


@pytest.mark.parametrize("name", SERVICES)
async def test_functions_say_where_they_look(
    repository: Repository, make_database: DatabaseFactory, name: str
) -> None:
    """No function can be led to read a session's temporary table in place of the one that it names."""
    url = make_database(name).migration
    await asyncio.to_thread(upgrade, repository, name, url)
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        found = await connection.scalars(text(_SEARCHING_ANYWHERE))
        names = set(found)
    await engine.dispose()
    assert names <= {"refuse_change", "refuse_rebinding"}, "which read nothing"


@pytest.mark.parametrize("name", SERVICES)
def test_migrations_pass_squawk(
    repository: Repository, make_database: DatabaseFactory, tmp_path: Path, name: str
) -> None:
    """No revision does what would hold a lock for long or break the version that still runs beside it."""
    statements = upgrade(repository, name, make_database(name).migration)
    files = []
    for number, ddl in enumerate(revisions(statements), 1):
        files.append(tmp_path / f"{number:04}.sql")
        files[-1].write_text(ddl)
    assert files
    done = subprocess.run(
        [
            Path(sys.executable).parent / "squawk",
            "--assume-in-transaction",
            "--pg-version=18",
            "--reporter=gcc",
            f"--exclude={','.join(SQUAWK_EXCLUDED)}",
            *files,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
