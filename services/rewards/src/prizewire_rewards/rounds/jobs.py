"""Jobs of rounds: book waiting rounds, work on large rounds, and report incomplete settlements."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_rewards import metrics
from prizewire_rewards.rounds.domain.commands import StagedParts
from prizewire_rewards.rounds.handlers.held import release_next
from prizewire_rewards.rounds.handlers.large import work_on_next
from prizewire_rewards.rounds.handlers.round_changes import Booked
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools

RELEASE_INTERVAL_S = 2.0


WORK_INTERVAL_S = 1.0
"""The interval when no one wakes the job. Whatever adds work in the same process wakes it."""


STAGED_INTERVAL_S = 30.0


_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Jobs:
    """``every`` job of rounds, and among them the two that others wake: ``releasing`` when a pool gets money, ``working``
    when a large round has work.
    """

    releasing: Job
    working: Job
    every: Sequence[Job]


def build_round_jobs(
    *,
    db: Database,
    ports_of: Callable[[AsyncConnection], RoundPorts],
    tools: RoundTools,
    clock: Clock,
    staged: Callable[[AsyncConnection, datetime], Awaitable[StagedParts]],
) -> Jobs:
    """Build the jobs of rounds over a database. ``staged`` reads the incomplete settlements."""
    booking, chunks = (Batches(job, db=db, clock=clock) for job in ("rounds.release", "rounds.work"))

    async def release() -> bool:
        async def attempt(tx: AsyncConnection) -> Booked | None:
            return await release_next(ports=ports_of(tx), tools=tools, now=clock.now())

        done = await booking.run(attempt, seeking=True)
        for booked in done:
            if booked is not None:
                metrics.count_rounds(**asdict(booked), assets=tools.assets)
                if booked.work:
                    working.wake()
        return not done or any(booked is not None and booked != Booked() for booked in done)

    async def work_on() -> bool:
        async def attempt(tx: AsyncConnection) -> Booked | None:
            return await work_on_next(ports=ports_of(tx), tools=tools, now=clock.now())

        for booked in await chunks.run(attempt, seeking=True):
            if booked is None:
                return False
            metrics.count_rounds(**asdict(booked), assets=tools.assets)
        return True

    async def staging() -> bool:
        async with db.transaction() as tx:
            seen = await staged(tx, clock.now())
        metrics.ROUND_WORK.set(seen.work)
        metrics.PARTS_OLDEST.set(seen.oldest_s)
        metrics.PARTS_MISSING.set(len(seen.late))
        for one in seen.late:
            _log.warning("parts of a settlement are missing", **one)
        return False

    releasing = Job("rounds.release", RELEASE_INTERVAL_S, release)
    working = Job("rounds.work", WORK_INTERVAL_S, work_on)
    staging_job = Job("rounds.staged", STAGED_INTERVAL_S, staging)
    return Jobs(releasing=releasing, working=working, every=(releasing, working, staging_job))
