"""Migrations, run on a real database: they pass squawk, and lock no table for long."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import create_async_engine

from prizewire_chassis.db.migrate import migrate
from prizewire_devstack.testing import DatabaseFactory
from tests.repo.house import Repository

SERVICES = ("payouts", "rewards", "settlement", "signer", "webhooks")
# Rules of squawk that are switched off, each with its reason.
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


@pytest.mark.parametrize("name", SERVICES)
async def test_functions_have_a_search_path(
    repository: Repository, make_database: DatabaseFactory, name: str
) -> None:
    """No function reads a session's temporary table in place of the table that it names."""
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
    """No revision holds a lock for long or breaks the former version, which still runs beside it."""
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
