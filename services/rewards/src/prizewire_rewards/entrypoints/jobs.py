"""Periodic work: waiting rounds, balances of unbounded accounts, invariants."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Check
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_rewards import metrics
from prizewire_rewards.entrypoints.works import Works
from prizewire_rewards.handlers.campaigns import release_next
from prizewire_rewards.handlers.desk import Booked
from prizewire_rewards.ports import Tools

__all__ = ["build_jobs"]

RELEASE_INTERVAL_S = 2.0
ROLL_UP_INTERVAL_S = 5.0
ROLL_UP_ROWS_MAX = 10_000
_log = get_logger(__name__)


def build_jobs(
    *,
    db: Database,
    works: Works,
    tools: Tools,
    clock: Clock,
    roll_up: Callable[[AsyncConnection, int], Awaitable[int]],
    checks: Sequence[Check],
    invariants_interval_s: float,
) -> tuple[Job, Sequence[Job]]:
    """The job that releases waiting rounds (to be woken when money comes), and all jobs, it included."""

    async def release() -> bool:
        async def attempt(tx: AsyncConnection) -> Booked | None:
            return await release_next(work=works.of(tx), tools=tools, now=clock.now())

        booked = await db.run(attempt)
        if booked is None:
            return False
        metrics.ROUNDS_BOOKED.inc(booked.rounds)
        metrics.LINES_BOOKED.inc(booked.lines)
        metrics.PAYOUTS_REQUESTED.labels("direct").inc(booked.payouts)
        return booked.rounds > 0

    async def fold() -> bool:
        folded = await db.run(lambda tx: roll_up(tx, ROLL_UP_ROWS_MAX))
        metrics.ROLLED_UP.inc(folded)
        return folded >= ROLL_UP_ROWS_MAX

    async def invariants() -> bool:
        for check in checks:
            async with db.transaction() as tx:
                breaches = await check.run(tx)
            metrics.BREACHES.labels(check.name).set(len(breaches))
            if breaches:
                _log.error("invariant broken", invariant=check.name, breaches=breaches[:10])
        return False

    releasing = Job("rounds.release", RELEASE_INTERVAL_S, release)
    jobs = (
        releasing,
        Job("ledger.roll_up", ROLL_UP_INTERVAL_S, fold),
        Job("invariants", invariants_interval_s, invariants),
    )
    return releasing, jobs
