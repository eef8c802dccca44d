"""The signed events of audit records that the outbox still holds: what a service once said about its chain.

The outbox keeps published events for some days. The owner of the tables can delete them, but cannot sign others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.outbox import EVENTS_KEPT
from prizewire_contracts.canonical import check_canonical
from prizewire_contracts.encode import source_of
from prizewire_contracts.events.audit import AuditRecordedEvent
from prizewire_contracts.ids import event_id
from prizewire_contracts.topics import AUDIT
from prizewire_contracts.trust import NotTrusted, TrustStore, event_signing_bytes

SEQUENCE_MAX: Final = 2**31 - 1
"""The number of a record is the version of its event, which is no greater."""
CHUNK: Final = 1_000
"""So many numbers of records are looked up by one statement."""
GAP_MAX: Final = 100_000
"""So many numbers in a row without an event end a search: all older events are taken for pruned."""
SURELY_KEPT: Final = EVENTS_KEPT - timedelta(days=1)
"""The event of a younger record is in the outbox. The day less than ``EVENTS_KEPT`` is for clocks that differ."""
SCANNED_MAX: Final = 200_000
"""So many events at the end of the outbox are searched for the newest audit record."""
_KIND: str = AuditRecordedEvent.model_fields["type"].default


@dataclass(frozen=True, slots=True)
class Published:
    """A record as its event has it: its number and its hash; the hash is empty where the event cannot be read. ``forged`` says
    that the trust store does not verify the event; it is false where no trust store was given.
    """

    sequence: int
    hash: str
    forged: bool = False


def event_of(service: str, sequence: int) -> str:
    """The id of the event of a record."""
    return str(event_id(source=source_of(service), subject=service, version=sequence, kind=_KIND))


async def is_published(tx: AsyncConnection, *, service: str, sequence: int) -> bool:
    """Whether the outbox holds the event of a record."""
    return (await tx.execute(_EVENT, {"id": event_of(service, sequence)})).one_or_none() is not None


async def newest_in_outbox(tx: AsyncConnection, *, service: str, sequence: int) -> int:
    """The greatest number of a record whose event the outbox holds, at least ``sequence``. It is found where the event is among
    the newest ``SCANNED_MAX`` ones, or less than ``CHUNK`` numbers behind one that was found.
    """
    newest = sequence
    values = (await tx.execute(_NEWEST, {"topic": AUDIT.name, "rows": SCANNED_MAX})).scalars()
    for value in values:
        number = _version_in(bytes(value))
        if number > newest and await is_published(tx, service=service, sequence=number):
            newest = number
    while newest < SEQUENCE_MAX:
        beyond = await _events(
            tx, service=service, first=newest + 1, last=min(newest + CHUNK, SEQUENCE_MAX), trust=None
        )
        if not beyond:
            break
        newest = beyond[0].sequence
    return newest


async def published_before(
    tx: AsyncConnection, *, service: str, newest: int, limit: int, trust: TrustStore | None = None
) -> Sequence[Published]:
    """At most ``limit`` records up to the number ``newest`` whose events the outbox holds, the newest first. It ends where
    ``GAP_MAX`` numbers in a row have no event.

    The outbox is pruned from its oldest event on, and events of later records have later places. So each number above the
    smallest one that is returned has an event, unless somebody deleted it or the service did not write the record.
    """
    found: list[Published] = []
    last = newest
    while last > 0 and len(found) < limit and (found[-1].sequence if found else newest) - last < GAP_MAX:
        first = max(1, last - CHUNK + 1)
        found += await _events(tx, service=service, first=first, last=last, trust=trust)
        last = first - 1
    return found[:limit]


async def _events(
    tx: AsyncConnection, *, service: str, first: int, last: int, trust: TrustStore | None
) -> list[Published]:
    """The published records with these numbers, the newest first."""
    numbers = {event_of(service, number): number for number in range(first, last + 1)}
    rows = await tx.execute(_EVENTS, {"ids": list(numbers)})
    found = [
        _published(numbers[row.event_id], bytes(row.value), service=service, trust=trust) for row in rows
    ]
    return sorted(found, key=lambda one: one.sequence, reverse=True)


def _published(number: int, value: bytes, *, service: str, trust: TrustStore | None) -> Published:
    try:
        raw = orjson.loads(value)
        link = str(raw["data"]["hash"])
        forged = trust is not None and not _signed(raw, service=service, trust=trust)
    except (ValueError, TypeError, KeyError):
        return Published(number, "", forged=trust is not None)
    return Published(number, link, forged=forged)


def _signed(raw: dict[str, Any], *, service: str, trust: TrustStore) -> bool:
    """Whether the trust store verifies the event. An unknown key is no excuse: the owner of the tables can write any key id."""
    check_canonical(raw)
    try:
        trust.verify(
            keyid=raw.get("keyid"),
            service=service,
            use="event",
            message=event_signing_bytes(topic=AUDIT.name, raw=raw),
            signature=raw.get("signature"),
            at=datetime.fromisoformat(raw["time"]),
        )
    except NotTrusted:
        return False
    return True


def _version_in(value: bytes) -> int:
    """The number in an audit event; 0 where it has none."""
    try:
        number = orjson.loads(value)["aggregateversion"]
    except (ValueError, TypeError, KeyError):
        return 0
    return number if type(number) is int and number <= SEQUENCE_MAX else 0


_EVENT = text("SELECT 1 FROM outbox WHERE event_id = :id")
# LATERAL with a LIMIT: for a plain join PostgreSQL may plan a scan of the whole outbox.
_EVENTS = text(
    "SELECT u.event_id, o.value FROM unnest(CAST(:ids AS text[])) AS u(event_id) "
    "CROSS JOIN LATERAL (SELECT value FROM outbox o WHERE o.event_id = u.event_id LIMIT 1) o"
)
_NEWEST = text(
    "SELECT value FROM (SELECT id, topic, value FROM outbox ORDER BY id DESC LIMIT :rows) newest "
    "WHERE topic = :topic ORDER BY id DESC LIMIT 1"
)
