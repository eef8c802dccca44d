"""What a service hands in: its part of a lineage."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check as Check  # noqa: PLC0414 - services import it from here
from prizewire_chassis.checks import rows_of as rows_of  # noqa: PLC0414 - services import it from here


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
