"""What a service hands in: its part of a lineage, and its invariants."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class LineageEntry:
    """One step on the way of a correlation id, as its owner recorded it. ``summary`` and ``detail`` say what was true at
    ``at``; what is told of the present stands in ``detail`` under ``now``. ``detail`` is JSON.
    """

    at: datetime
    service: str
    kind: str
    id: str
    summary: str
    detail: dict[str, Any] = field(default_factory=dict)


Lineage = Callable[[AsyncConnection, str], Awaitable[list[LineageEntry]]]
"""(transaction, correlation id) → the service's steps, in their order."""


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant: ``run`` answers its breaches as sentences, none when it holds. ``count`` answers how many things it
    is about, where that is known.
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
