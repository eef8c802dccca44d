"""Periodic work: waiting rounds, large ones, parts that wait for others, balances of unbounded accounts, the checkpoint, invariants."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import STAND_BACK_S, Job
from prizewire_chassis.logging import get_logger
from prizewire_rewards import metrics
from prizewire_rewards.domain.invariants import Seen, StagedSeen
from prizewire_rewards.entrypoints.round_jobs import Jobs, build_round_jobs
from prizewire_rewards.entrypoints.works import Works
from prizewire_rewards.ports import Tools

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
    staged: Callable[[AsyncConnection, datetime], Awaitable[StagedSeen]],
    watches: Sequence[Watch],
    invariants_interval_s: float,
) -> Jobs:
    """The jobs over a database; ``staged`` looks at the parts that wait for others."""

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

    rounds = build_round_jobs(db=db, works=works, tools=tools, clock=clock, staged=staged)
    jobs = (
        *rounds.every,
        Job("ledger.roll_up", ROLL_UP_INTERVAL_S, fold),
        Job("ledger.sum_up", SUM_UP_INTERVAL_S, checkpoint, first_s=STAND_BACK_S),
        Job(
            "invariants", invariants_interval_s, invariants, first_s=min(invariants_interval_s, STAND_BACK_S)
        ),
    )
    return replace(rounds, every=jobs)
