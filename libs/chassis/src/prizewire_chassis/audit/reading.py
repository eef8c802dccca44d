"""Reads audit records: pages with filters, the records of one correlation id, and the head of a chain."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

LINEAGE_MAX: Final = 500
"""Records of one correlation id that a lineage shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """The records that are wanted; None means all. ``since`` is included, ``until`` is not."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain. ``sequence`` and ``hash`` are those of the newest record, 0 and None of an empty chain. ``published``
    is the greatest number of a record that is known to have been published, at least ``sequence``.
    """

    sequence: int
    hash: str | None
    published: int


NewestKnown = Callable[[AsyncConnection, int], Awaitable[int]]
"""(transaction, number of the newest record of the table) → the greatest number of a record that is known to have been published."""


@dataclass(frozen=True, slots=True)
class AuditTable:
    """A table with the records of one service."""

    service: str
    newest_known: NewestKnown
    name: str = "audit_log"

    async def page(
        self, tx: AsyncConnection, wanted: AuditFilter, *, after: int | None, limit: int, newest_first: bool
    ) -> Sequence[Row[Any]]:
        """At most ``limit`` records behind the number ``after`` in this order."""
        values = {
            "actor": wanted.actor,
            "action": wanted.action,
            "target": wanted.target,
            "correlation_id": wanted.correlation_id,
            "since": wanted.since,
            "until": wanted.until,
        }
        given: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        conditions = [_CONDITIONS[name] for name in given]
        if after is not None:
            conditions.append("sequence < :after" if newest_first else "sequence > :after")
            given["after"] = after
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        order = "DESC" if newest_first else "ASC"
        statement = f"{self._select} {where}ORDER BY sequence {order} LIMIT :limit"
        return (await tx.execute(text(statement), {**given, "limit": limit})).all()

    async def of_correlation(self, tx: AsyncConnection, correlation_id: str) -> Sequence[Row[Any]]:
        """The oldest ``LINEAGE_MAX`` records of one correlation id, the oldest first."""
        wanted = AuditFilter(correlation_id=correlation_id)
        return await self.page(tx, wanted, after=None, limit=LINEAGE_MAX, newest_first=False)

    async def head(self, tx: AsyncConnection) -> Head:
        """The end of the chain."""
        statement = f"SELECT sequence, hash FROM {self.name} ORDER BY sequence DESC LIMIT 1"  # noqa: S608 - a constant
        row = (await tx.execute(text(statement))).one_or_none()
        sequence = 0 if row is None else int(row.sequence)
        known = await self.newest_known(tx, sequence)
        return Head(sequence, None if row is None else row.hash, max(known, sequence))

    @property
    def _select(self) -> str:
        return (
            "SELECT sequence, CASE WHEN at > '0002-01-01 Z' AND at < '9999-01-01 Z' THEN at END AS at, actor, action, target, "  # noqa: S608 - constants
            f"reason, CAST(detail AS text) AS detail, correlation_id, prev_hash, hash FROM {self.name}"
        )


def published_record(row: Row[Any], *, service: str) -> dict[str, Any]:
    """A row of an audit table as the record that was published: its ``hash`` is ``link_hash`` of it."""
    return {
        "service": service,
        "sequence": row.sequence,
        "at": None if row.at is None else _moment(row.at),
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "reason": row.reason,
        "detail": _json(row.detail),
        "correlation_id": row.correlation_id,
        "prev_hash": row.prev_hash,
        "hash": row.hash,
    }


def _json(value: str) -> Any:
    try:
        return orjson.loads(value)
    except ValueError:
        return {"unreadable": value[:200]}


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


_CONDITIONS: Final = {
    "actor": "actor = :actor",
    "action": "action = :action",
    "target": "target = :target",
    "correlation_id": "correlation_id = :correlation_id",
    "since": "at >= :since",
    "until": "at < :until",
}
