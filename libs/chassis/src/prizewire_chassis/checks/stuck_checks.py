"""The checks of stuck events."""

from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks.check import Check
from prizewire_chassis.stuck_events import StuckEvents

PARKED_GRACE: Final = timedelta(minutes=5)
"""How long an event may be parked for a reason of normal operation before it is a breach."""
BREACHES_MAX: Final = 50


def stuck_checks(stuck: StuckEvents) -> list[Check]:
    """The checks that no authentic event is parked, and that no event contradicts an applied one. An event remains a breach
    until it is replayed or discarded.
    """
    return [
        Check("events.none_is_parked", partial(parked, stuck), count=partial(_counted, "parked")),
        Check("events.none_contradicts", contradicting, count=partial(_counted, "dead")),
    ]


async def parked(stuck: StuckEvents, tx: AsyncConnection) -> list[str]:
    """The parked heads as sentences, each with the number of events behind it. A head that is parked for a passing reason (a
    gap in versions, or one of its consumer's ``passing``) counts once it is older than ``PARKED_GRACE``.
    """
    passing = {"version_gap", "subject_parked"}.union(*(spec.passing for spec in stuck.specs.values()))
    since = stuck.clock.now() - PARKED_GRACE
    rows = await tx.execute(_STAYING, {"passing": sorted(passing), "since": since, "limit": BREACHES_MAX})
    return [
        f"stuck event {row.id}, {row.type} of {row.subject}, is parked since {row.recorded_at}, {row.reason}: "
        f"{row.detail}; {row.behind} more wait behind it"
        for row in rows
    ]


async def contradicting(tx: AsyncConnection) -> list[str]:
    """The events of services whose version or id was applied with another event, as sentences. One of the two was not sent by
    the producer, or the producer's database was restored from a backup. A game server that uses an id twice is no breach.
    """
    rows = await tx.execute(_CONTRADICTING, {"limit": BREACHES_MAX})
    return [
        f"stuck event {row.id}, {row.type} of {row.subject} by {row.source}, contradicts what was applied: {row.detail}"
        for row in rows
    ]


async def _counted(state: str, tx: AsyncConnection) -> int:
    return int((await tx.execute(_COUNT, {"state": state})).scalar_one())


_COUNT = text("SELECT count(*) FROM stuck_events WHERE state = :state")
_CONTRADICTING = text(
    "SELECT id, type, subject, source, detail FROM stuck_events WHERE state = 'dead' AND (reason = 'version_conflict' "
    "OR (reason = 'id_conflict' AND source LIKE '/prizewire/%')) ORDER BY id LIMIT :limit"
)
_STAYING = text(
    "SELECT * FROM (SELECT DISTINCT ON (consumer, source, subject) id, type, subject, reason, detail, recorded_at, "
    "count(*) OVER (PARTITION BY consumer, source, subject) - 1 AS behind FROM stuck_events WHERE state = 'parked' "
    "ORDER BY consumer, source, subject, id) h "
    "WHERE NOT (h.reason = ANY(CAST(:passing AS text[])) AND h.recorded_at > :since) ORDER BY h.id LIMIT :limit"
)
