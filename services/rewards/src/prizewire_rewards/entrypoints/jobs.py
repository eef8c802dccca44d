"""Periodic work: waiting rounds, balances of unbounded accounts, the checkpoint, invariants."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_rewards import metrics
from prizewire_rewards.domain.invariants import Seen
from prizewire_rewards.entrypoints.works import Works
from prizewire_rewards.handlers.campaigns import release_next
from prizewire_rewards.handlers.desk import Booked
from prizewire_rewards.ports import Tools

__all__ = ["Watch", "build_jobs"]

RELEASE_INTERVAL_S = 2.0
ROLL_UP_INTERVAL_S = 5.0
ROLL_UP_ROWS_MAX = 10_000
SUM_UP_INTERVAL_S = 60.0
SUM_UP_ROWS_MAX = 250_000
_log = get_logger(__name__)


class Watch(Protocol):
    """An invariant that is looked at from time to time, a part of it at each look."""

    @property
    def name(self) -> str:
        """The invariant's name."""
        ...

    async def look(self, tx: AsyncConnection) -> Seen:
        """Look at the next part."""
        ...


def build_jobs(
    *,
    db: Database,
    works: Works,
    tools: Tools,
    clock: Clock,
    roll_up: Callable[[AsyncConnection, int], Awaitable[int]],
    sum_up: Callable[[AsyncConnection, int], Awaitable[tuple[int, int]]],
    watches: Sequence[Watch],
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
        metrics.RECEIVABLES_NETTED.inc(booked.netted)
        return booked.rounds > 0

    async def fold() -> bool:
        folded = await db.run(lambda tx: roll_up(tx, ROLL_UP_ROWS_MAX))
        metrics.ROLLED_UP.inc(folded)
        return folded >= ROLL_UP_ROWS_MAX

    async def checkpoint() -> bool:
        summed, behind = await db.run(lambda tx: sum_up(tx, SUM_UP_ROWS_MAX))
        metrics.LEDGER_BEHIND.set(behind)
        return summed >= SUM_UP_ROWS_MAX

    async def invariants() -> bool:
        covered: dict[str, str] = {}
        for watch in watches:
            async with db.transaction() as tx:
                seen = await watch.look(tx)
            metrics.BREACHES.labels(watch.name).set(len(seen.breaches))
            metrics.WATCHED.labels(watch.name).inc(seen.looked_at)
            metrics.WATCHED_WHOLE.labels(watch.name).inc(int(seen.whole))
            covered[str(watch.name)] = seen.covered
            if seen.breaches:
                _log.error("invariant broken", invariant=watch.name, breaches=list(seen.breaches[:10]))
        _log.info("invariants looked at", covered=covered)
        return False

    releasing = Job("rounds.release", RELEASE_INTERVAL_S, release)
    jobs = (
        releasing,
        Job("ledger.roll_up", ROLL_UP_INTERVAL_S, fold),
        Job("ledger.sum_up", SUM_UP_INTERVAL_S, checkpoint),
        Job("invariants", invariants_interval_s, invariants),
    )
    return releasing, jobs
