"""Finality: a settled round becomes final when its dispute window has passed without a dispute."""

from datetime import datetime

from prizewire_settlement.rounds.domain.events import RoundEvent
from prizewire_settlement.rounds.domain.model import Cause
from prizewire_settlement.rounds.domain.progress import finalize
from prizewire_settlement.rounds.ports import Changes, EventSink, RoundStore


async def finalize_due(
    *, store: RoundStore, events: EventSink, now: datetime, actor: str, limit: int = 500
) -> int:
    """Make at most ``limit`` due rounds final; answers how many there were."""
    due = await store.due(now=now, limit=limit)
    if not due:
        return 0
    cause = Cause(kind="dispute_window_passed", id=None, actor=actor)
    changes = Changes()
    published: list[RoundEvent] = []
    for current in due:
        step = finalize(current=current, cause=cause, now=now)
        changes.take(step)
        published.extend(step.events)
    await store.save(changes)
    await events.publish(published)
    return len(due)
