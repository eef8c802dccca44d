"""What settlement does by itself: rounds become final when their dispute window has passed."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_contracts.encode import source_of
from prizewire_settlement.handlers.finality import finalize_due
from prizewire_settlement.metrics import ROUNDS_FINALIZED
from prizewire_settlement.ports import EventSink, RoundStore

__all__ = ["finality_job"]


def finality_job(
    *,
    db: Database,
    store: Callable[[AsyncConnection], RoundStore],
    events: Callable[[AsyncConnection], EventSink],
    clock: Clock,
    interval_s: float,
) -> Job:
    """The job that emits ``round.finalized``."""

    async def run() -> bool:
        async def work(tx: AsyncConnection) -> int:
            return await finalize_due(
                store=store(tx), events=events(tx), now=clock.now(), actor=source_of("settlement")
            )

        finalized = await db.run(work)
        ROUNDS_FINALIZED.inc(finalized)
        return finalized > 0

    return Job("rounds.finalize", interval_s, run)
