"""The job that closes entries of large rounds."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_rewards import metrics
from prizewire_rewards.entries.handlers.ending import close_next
from prizewire_rewards.entries.handlers.entering import EntryCounts
from prizewire_rewards.entries.ports import EntryPorts
from prizewire_rewards.payouts.ports import PayoutTools

CLOSE_INTERVAL_S = 1.0


def build_entry_job(
    *,
    db: Database,
    ports_of: Callable[[AsyncConnection], EntryPorts],
    tools: PayoutTools,
    clock: Clock,
) -> Job:
    """The job closes one chunk of entries in each run. Several instances may run at once: each skips rounds that another
    one has locked.
    """
    batches = Batches("entries.close", db=db, clock=clock)

    async def close_entries() -> bool:
        async def attempt(tx: AsyncConnection) -> EntryCounts | None:
            return await close_next(ports=ports_of(tx), tools=tools, now=clock.now())

        done = await batches.run(attempt, seeking=True)
        for closed in done:
            if closed is None:
                return False
            metrics.count_entries(closed)
        return True

    return Job("entries.close", CLOSE_INTERVAL_S, close_entries)
