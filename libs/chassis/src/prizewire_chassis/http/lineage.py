"""The lineage of a correlation id in one service."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class LineageEntry:
    """One step of a correlation id, as its service recorded it. ``summary`` and ``detail`` (JSON) describe the state at
    ``at``. Facts of the present are in ``detail`` under ``now``.
    """

    at: datetime
    service: str
    kind: str
    id: str
    summary: str
    detail: dict[str, Any] = field(default_factory=dict)


Lineage = Callable[[AsyncConnection, str], Awaitable[list[LineageEntry]]]
"""(transaction, correlation id) → the service's steps in order of time."""
