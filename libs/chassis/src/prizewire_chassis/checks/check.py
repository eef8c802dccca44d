"""An invariant of a service, checked by a query of its database."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant. ``run`` returns its breaches as sentences, and an empty list where it holds. ``count`` returns how
    many things it is about, where that is known.
    """

    name: str
    run: Callable[[AsyncConnection], Awaitable[list[str]]]
    count: Callable[[AsyncConnection], Awaitable[int]] | None = None


def rows_of(table: str) -> Callable[[AsyncConnection], Awaitable[int]]:
    """A count for a check that is about every row of ``table``."""
    statement = text(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own tables

    async def count(tx: AsyncConnection) -> int:
        return int((await tx.execute(statement)).scalar_one())

    return count
