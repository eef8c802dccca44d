"""What a service hands in: its part of a lineage, and its invariants."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Check", "Lineage", "LineageEntry"]


@dataclass(frozen=True, slots=True)
class LineageEntry:
    """One step on the way of a correlation id, as its owner recorded it. ``detail`` is JSON."""

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
    """An invariant: ``run`` answers its breaches as sentences, none when it holds."""

    name: str
    run: Callable[[AsyncConnection], Awaitable[list[str]]]
