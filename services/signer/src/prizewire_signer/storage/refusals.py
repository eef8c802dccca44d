"""Messages that were refused before they became requests: counted by kind, published as an event, and audited."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.outbox import Outbox
from prizewire_contracts.events.signing import MessagesRefused, MessagesRefusedEvent, RefusedMessages
from prizewire_contracts.ids import refusals_id

PUBLISH_EVERY = timedelta(minutes=5)
"""How long a published kind may grow before its new sum is published."""
SUBJECT = "signer"
DETAIL_MAX = 200


@dataclass(frozen=True, slots=True)
class SqlRefusals:
    """``ports.Refusals`` over one transaction."""

    tx: AsyncConnection
    outbox: Outbox
    audit: Audit

    async def publish(self, *, now: datetime) -> int:
        """Publish the sums and audit what is new, if a kind is new or has grown for long enough; returns how many kinds."""
        await self.tx.execute(_LOCK)
        found = (await self.tx.execute(_FOUND)).all()
        published = {(row.state, row.reason): row for row in await self.tx.execute(_PUBLISHED)}
        counts = {(row.state, row.reason): row.sum for row in found}
        # kinds that were published and have no message left count zero
        counts |= {kind: 0 for kind in published if kind not in counts}
        if not any(_is_due(count, published.get(kind), now) for kind, count in counts.items()):
            return 0
        for (state, reason), count in sorted(counts.items()):
            values = {"state": state, "reason": reason, "count": count, "now": now}
            await self.tx.execute(_PUBLISH, values)
        grown = [row for row in found if row.sum > _published_before(published, row)]
        version = (await self.tx.execute(_VERSION, {"subject": SUBJECT})).scalar_one()
        correlation_id = str(refusals_id(SUBJECT))
        data = MessagesRefused(kinds=[_kind(row) for row in found])
        event = self.outbox.event(
            MessagesRefusedEvent, data, subject=SUBJECT, version=version, correlation_id=correlation_id
        )
        await self.outbox.add(self.tx, [event])
        for row in grown:
            await self.audit.record(
                self.tx,
                actor="signer",
                action="messages.refused",
                target=row.topic,
                reason=row.reason,
                detail={
                    "state": row.state,
                    "new": row.sum - _published_before(published, row),
                    "in_all": row.sum,
                    "newest": _kind(row).model_dump(mode="json"),
                },
                correlation_id=correlation_id,
            )
        return len(grown)


def _is_due(count: int, published: Row[Any] | None, now: datetime) -> bool:
    """At once where a kind is new, after a while where its sum has changed."""
    if published is None or (published.sum == 0 and count > 0):
        return True
    return bool(count != published.sum and now >= published.told_at + PUBLISH_EVERY)


def _published_before(published: Mapping[tuple[str, str], Row[Any]], row: Row[Any]) -> int:
    before = published.get((row.state, row.reason))
    return 0 if before is None else int(before.sum)


def _kind(row: Row[Any]) -> RefusedMessages:
    detail = "".join(char if char.isprintable() else "?" for char in row.detail)[:DETAIL_MAX]
    return RefusedMessages(
        state=row.state,
        reason=row.reason,
        count=row.sum,
        first_at=row.first_at,
        last_at=row.last_at,
        place=f"{row.topic}/{row.partition}/{row.offset}",
        detail=detail or row.reason,
    )


_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('prizewire.signer.refusals'))")
# Sums are compared, not positions: so a message that is committed late is counted too.
_FOUND = text(
    'SELECT n.state, n.reason, n.sum, n.first_at, n.last_at, s.topic, s.partition, s."offset", s.detail FROM (SELECT state, reason, count(*) AS sum, '
    "min(recorded_at) AS first_at, max(recorded_at) AS last_at, max(id) AS newest FROM stuck_events "
    "WHERE state IN ('dead', 'parked') GROUP BY state, reason) n JOIN stuck_events s ON s.id = n.newest "
    "ORDER BY n.state, n.reason"
)
_PUBLISHED = text("SELECT state, reason, count AS sum, told_at FROM told_refusals")
_PUBLISH = text(
    "INSERT INTO told_refusals (state, reason, count, told_at) VALUES (:state, :reason, :count, :now) "
    "ON CONFLICT (state, reason) DO UPDATE SET count = excluded.count, told_at = excluded.told_at"
)
_VERSION = text(
    "INSERT INTO answer_versions (subject, version) VALUES (:subject, 1) "
    "ON CONFLICT (subject) DO UPDATE SET version = answer_versions.version + 1 RETURNING version"
)
