"""Reads audit records: pages with filters, the records of one correlation id, and the head of a chain."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit.published import Published, published_before
from prizewire_contracts.ids import derive
from prizewire_contracts.topics import AUDIT

_PLACE: Final = re.compile(r"\(([0-9]{1,10}),([0-9]{1,5})\)")
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
    is the greatest number of a record that is known to have been published. It is at least ``sequence``, except where the newest
    records of a copy did not come from their service.
    """

    sequence: int
    hash: str | None
    published: int


NewestKnown = Callable[[AsyncConnection, int], Awaitable[int]]
"""(transaction, number of the newest record of the table) → the greatest number of a record that is known to have been published."""
PublishedBefore = Callable[[AsyncConnection, int, int], Awaitable[Sequence[Published]]]
"""(transaction, number, limit) → at most so many published records up to this number, the newest first."""
Place = tuple[int, str]
"""Where a page ends: the number of its last record, and the row's place in the table. Two rows with one number, which no service
writes, have two places, so that none of them is hidden between two pages.
"""


@dataclass(frozen=True, slots=True)
class AuditTable:
    """A table with the records of one service. ``published_known`` reads the published records that it is compared with; those of
    the outbox where it is None.
    """

    service: str
    newest_known: NewestKnown
    name: str = "audit_log"
    published_known: PublishedBefore | None = None

    async def published(self, tx: AsyncConnection, *, before: int | None, limit: int) -> Sequence[Published]:
        """At most ``limit`` published records that are known, with numbers below ``before``, the newest first."""
        newest = before - 1 if before is not None else (await self.head(tx)).published
        if self.published_known is not None:
            return await self.published_known(tx, newest, limit)
        return await published_before(tx, service=self.service, newest=newest, limit=limit)

    async def page(
        self,
        tx: AsyncConnection,
        wanted: AuditFilter,
        *,
        after: Place | None,
        limit: int,
        newest_first: bool,
    ) -> Sequence[Row[Any]]:
        """At most ``limit`` records behind the place ``after`` in this order. Each row has ``place`` besides the record."""
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
            than = "<" if newest_first else ">"
            conditions.append(f"(sequence, ctid) {than} (:after, CAST(CAST(:place AS text) AS tid))")
            given["after"], given["place"] = after
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        order = "DESC" if newest_first else "ASC"
        statement = f"{self._select} {where}ORDER BY sequence {order}, ctid {order} LIMIT :limit"
        return (await tx.execute(text(statement), {**given, "limit": limit})).all()

    async def of_correlation(self, tx: AsyncConnection, correlation_id: str) -> Sequence[Row[Any]]:
        """The oldest ``LINEAGE_MAX`` records of one correlation id, the oldest first. None of an id of ``no_correlation``: records
        that belong to nothing are for admins.
        """
        if correlation_id in _NO_CORRELATION:
            return []
        wanted = AuditFilter(correlation_id=correlation_id)
        return await self.page(tx, wanted, after=None, limit=LINEAGE_MAX, newest_first=False)

    async def head(self, tx: AsyncConnection) -> Head:
        """The end of the chain."""
        statement = f"SELECT sequence, hash FROM {self.name} ORDER BY sequence DESC LIMIT 1"  # noqa: S608 - a constant
        row = (await tx.execute(text(statement))).one_or_none()
        sequence = 0 if row is None else int(row.sequence)
        known = await self.newest_known(tx, sequence)
        return Head(sequence, None if row is None else row.hash, known)

    @property
    def _select(self) -> str:
        return (
            "SELECT sequence, CASE WHEN at > '0002-01-01 Z' AND at < '9999-01-01 Z' THEN at END AS at, actor, action, target, "  # noqa: S608 - constants
            f"reason, CAST(detail AS text) AS detail, correlation_id, prev_hash, hash, CAST(ctid AS text) AS place FROM {self.name}"
        )


def no_correlation(service: str) -> str:
    """The correlation id of those records of a service that belong to no match or payout."""
    return str(derive("audit", service))


def read_place(text: str) -> str:
    """The place of a row in a cursor, as PostgreSQL writes a ``tid``.

    Raises:
        ValueError: it is none.
    """
    found = _PLACE.fullmatch(text)
    if found is None or int(found[1]) >= 2**32 or int(found[2]) >= 2**16:
        raise ValueError("no place of a row")
    return text


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


_NO_CORRELATION: Final = frozenset(no_correlation(service) for service in AUDIT.producers)
_CONDITIONS: Final = {
    "actor": "actor = :actor",
    "action": "action = :action",
    "target": "target = :target",
    "correlation_id": "correlation_id = :correlation_id",
    "since": "at >= :since",
    "until": "at < :until",
}
