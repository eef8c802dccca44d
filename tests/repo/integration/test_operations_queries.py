"""The queries of docs/operations.md run on databases with the present tables, and only read."""

import re
from collections.abc import Iterator
from typing import Final

import asyncpg
import pytest

from prizewire_devstack.home import repository_root
from prizewire_devstack.testing import DatabaseFactory

PAGE: Final = "docs/operations.md"
SERVICES: Final = ("settlement", "rewards", "payouts", "webhooks", "signer")
EVERY: Final = "Every service"
SECTION: Final = re.compile(r"^## (?:Service )?(.+)$", re.MULTILINE)
QUERY: Final = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def queries(text: str) -> Iterator[tuple[str, str]]:
    """(section, query) of each block of SQL."""
    _, *parts = SECTION.split(text)
    for title, section in zip(parts[::2], parts[1::2], strict=True):
        for query in QUERY.findall(section):
            yield title, query


def of_service(service: str) -> list[str]:
    found = queries((repository_root() / PAGE).read_text())
    return [query for title, query in found if title in {service, EVERY}]


def test_every_service_has_queries() -> None:
    """Each query stands in the section of a service, or in that of all services."""
    titles = [title for title, _ in queries((repository_root() / PAGE).read_text())]
    assert set(titles) == {*SERVICES, EVERY}


@pytest.mark.parametrize("service", SERVICES)
async def test_the_queries_run_with_the_rights_of_the_service(
    make_database: DatabaseFactory, service: str
) -> None:
    """Each query of a service, and each query for all services, answers in a transaction that may only read."""
    connection = await asyncpg.connect(make_database(service, migrated=True).runtime)
    try:
        for query in of_service(service):
            async with connection.transaction(readonly=True):
                await connection.fetch(query)
    finally:
        await connection.close()


async def test_a_query_on_a_table_that_does_not_exist_fails(make_database: DatabaseFactory) -> None:
    """The test above would find a table or a column that a migration removed."""
    connection = await asyncpg.connect(make_database("webhooks", migrated=True).runtime)
    try:
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.fetch("SELECT 1 FROM rounds")
    finally:
        await connection.close()
