"""Finality: a settled round becomes final when its dispute window has passed without a dispute."""

from datetime import datetime

from prizewire_settlement.rounds.domain.model import Cause
from prizewire_settlement.rounds.domain.progress import finalize
from prizewire_settlement.rounds.handlers.unit_of_work import UnitOfWork


async def finalize_due(*, unit_of_work: UnitOfWork, now: datetime, actor: str, limit: int = 500) -> int:
    """Make at most ``limit`` due rounds final. Returns how many there were."""
    due = await unit_of_work.rounds.due(now=now, limit=limit)
    cause = Cause(kind="dispute_window_passed", id=None, actor=actor)
    for current in due:
        unit_of_work.add(finalize(current=current, cause=cause, now=now))
    await unit_of_work.save()
    return len(due)
