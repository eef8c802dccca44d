"""Messages that were not applied, as the inbox stores them.

A message is stored whole, unless it was refused for its size or could not be read. Of those the first ``KEPT_BYTES_MAX``
bytes are stored.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Read, fetch
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.decode import EventRefused

KEPT_BYTES_MAX = 64 * 1024
"""How many bytes are stored of a message that is too large. Kafka has the whole message for as long as its topic keeps it."""
CUT_REASONS = frozenset({str(RefusalCode.MESSAGE_TOO_LARGE), str(RefusalCode.BATCH_UNREADABLE)})
"""For these reasons only the beginning is stored, so that the message cannot be replayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """One message that was not applied. ``value`` is the message as it arrived."""

    consumer: str
    topic: str
    partition: int
    offset: int
    event_id: str | None
    source: str | None
    subject: str | None
    type: str | None
    version: int | None
    correlation_id: str | None
    state: str
    reason: str
    detail: str
    value: bytes = field(repr=False)

    @classmethod
    def of_refused(
        cls, *, consumer: str, topic: str, partition: int, offset: int, value: bytes, refused: EventRefused
    ) -> "Stuck":
        """A dead message that could not be decoded or authenticated."""
        return cls(
            consumer=consumer,
            topic=topic,
            partition=partition,
            offset=offset,
            event_id=refused.event_id,
            source=refused.source,
            subject=refused.subject,
            type=refused.event_type,
            version=None,
            correlation_id=refused.correlation_id,
            state="dead",
            reason=str(refused.code),
            detail=refused.detail[:500],
            value=value,
        )


def _cut(entry: Stuck) -> Stuck:
    """The entry as it is stored: with the beginning of its message only, where the reason is in ``CUT_REASONS``."""
    if entry.reason not in CUT_REASONS:
        return entry
    digest = hashlib.sha256(entry.value).hexdigest()
    kept = entry.value[:KEPT_BYTES_MAX]
    detail = f"{entry.detail}; kept: {len(kept)} of {len(entry.value)} bytes with SHA-256 {digest}"
    return replace(entry, value=kept, detail=detail)


class OffsetOccupied(Exception):
    """Another message is parked at this offset: the topic was created again, or the database is a copy."""


async def record_stuck(tx: AsyncConnection, entries: Sequence[Stuck], *, now: datetime) -> None:
    """Store messages by (consumer, topic, partition, offset). The same message delivered again changes nothing, unless it
    was dead and is parked now. Another message replaces a stored one that is not parked.

    Raises:
        OffsetOccupied: another message is parked there. Without an error this message would be lost.
    """
    entries = [_cut(entry) for entry in entries]
    columns = (*STUCK_COLUMNS[1:], "value")
    rows = {
        "consumer": entries[0].consumer,
        "now": now,
        **{f"{name}s": [_stored(getattr(entry, name)) for entry in entries] for name in columns},
    }
    await tx.execute(_INSERT, rows)
    taken = (await tx.execute(_TAKEN, rows)).one_or_none()
    if taken is not None:
        raise OffsetOccupied(
            f"another message of {taken.topic}, partition {taken.partition}, offset {taken.offset} is parked "
            f"as stuck event {taken.id}: replay or discard it first"
        )


async def parked_heads(
    tx: AsyncConnection, *, consumer: str, subjects: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The reason of the oldest parked event of each subject that has one. Locks its row, so that no replay runs meanwhile."""
    rows = await fetch(
        tx,
        _HEADS,
        {"consumer": consumer, "sources": [s for s, _ in subjects], "subjects": [s for _, s in subjects]},
    )
    heads: dict[tuple[str, str], str] = {}
    for row in rows:
        heads.setdefault((row.source, row.subject), row.reason)
    return heads


def _stored(value: object) -> object:
    return without_nul(value) if isinstance(value, str) else value


def without_nul(value: str) -> str:
    """``value`` with each NUL replaced, since PostgreSQL's text takes none."""
    return value.replace("\x00", "�")


STUCK_COLUMNS = (
    "consumer", "topic", "partition", "offset", "event_id", "source", "subject", "type", "version",
    "correlation_id", "state", "reason", "detail",
)  # fmt: skip
_INSERT = text(
    'INSERT INTO stuck_events (consumer, topic, partition, "offset", event_id, source, subject, type, version, '
    "correlation_id, state, reason, detail, value, recorded_at) "
    "SELECT :consumer, u.*, CAST(:now AS timestamptz) FROM unnest(CAST(:topics AS text[]), "
    "CAST(:partitions AS int[]), CAST(:offsets AS bigint[]), CAST(:event_ids AS text[]), CAST(:sources AS text[]), "
    "CAST(:subjects AS text[]), CAST(:types AS text[]), CAST(:versions AS int[]), CAST(:correlation_ids AS text[]), "
    "CAST(:states AS text[]), CAST(:reasons AS text[]), CAST(:details AS text[]), CAST(:values AS bytea[])) AS u "
    'ON CONFLICT (consumer, topic, partition, "offset") DO UPDATE SET event_id = excluded.event_id, '
    "source = excluded.source, subject = excluded.subject, type = excluded.type, version = excluded.version, "
    "correlation_id = excluded.correlation_id, state = excluded.state, reason = excluded.reason, "
    "detail = excluded.detail, value = excluded.value, recorded_at = excluded.recorded_at, replayed_at = NULL, "
    "replayed_by = NULL, discarded_at = NULL, discarded_by = NULL, discard_reason = NULL "
    "WHERE stuck_events.state <> 'parked' AND (stuck_events.value <> excluded.value "
    "OR excluded.state = 'parked' AND stuck_events.state <> 'discarded')"
)
_TAKEN = text(
    'SELECT s.id, s.topic, s.partition, s."offset" FROM stuck_events s JOIN unnest(CAST(:topics AS text[]), '
    "CAST(:partitions AS int[]), CAST(:offsets AS bigint[]), CAST(:values AS bytea[])) "
    'AS u(topic, partition, "offset", value) ON s.consumer = :consumer AND s.topic = u.topic '
    'AND s.partition = u.partition AND s."offset" = u."offset" WHERE s.value <> u.value LIMIT 1'
)
_HEADS = Read(
    "SELECT s.source, s.subject, s.reason FROM stuck_events s "
    "JOIN unnest(CAST(:sources AS text[]), CAST(:subjects AS text[])) AS u(source, subject) "
    "ON s.consumer = :consumer AND s.state = 'parked' AND s.source = u.source AND s.subject = u.subject "
    "ORDER BY s.id FOR SHARE OF s"
)
