"""Periodic work: waiting rounds, large ones, parts that wait for others, balances of unbounded accounts, the checkpoint, invariants."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import STARTUP_DELAY_S, Job
from prizewire_chassis.logging import get_logger
from prizewire_rewards import metrics
from prizewire_rewards.checks.invariants import Seen
from prizewire_rewards.entries.domain import EntryState
from prizewire_rewards.entries.handlers.ending import close_next
from prizewire_rewards.payouts.handlers.withdrawals import WithdrawalAttempt, withdraw_next
from prizewire_rewards.rounds.domain.views import StagedSeen
from prizewire_rewards.rounds.jobs import Jobs, build_round_jobs
from prizewire_rewards.rounds.ports import RoundTools
from prizewire_rewards.storage import Ports

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
    ports_of: Callable[[AsyncConnection], Ports],
    tools: RoundTools,
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

    rounds = build_round_jobs(db=db, ports_of=ports_of, tools=tools, clock=clock, staged=staged)
    jobs = (
        *rounds.every,
        Job("ledger.roll_up", ROLL_UP_INTERVAL_S, fold),
        Job("ledger.sum_up", SUM_UP_INTERVAL_S, checkpoint, first_s=STARTUP_DELAY_S),
        Job(
            "invariants",
            invariants_interval_s,
            invariants,
            first_s=min(invariants_interval_s, STARTUP_DELAY_S),
        ),
    )
    return replace(rounds, every=jobs)


CLOSE_ENTRIES_INTERVAL_S = 1.0


WITHDRAW_INTERVAL_S = 30.0


def build_money_jobs(
    *, db: Database, ports_of: Callable[[AsyncConnection], Ports], tools: RoundTools, clock: Clock
) -> Sequence[Job]:
    """One that closes entries of large rounds a chunk at a time, and one that makes automatic withdrawals that are due.
    Several instances may run them at once: each takes what nobody else has.
    """

    async def close_entries() -> bool:
        async def attempt(tx: AsyncConnection) -> Mapping[EntryState, int] | None:
            return await close_next(ports=ports_of(tx), tools=tools, now=clock.now())

        reached = await db.run(attempt, seeking=True)
        if reached is None:
            return False
        metrics.count_entries(reached)
        return True

    async def withdraw() -> bool:
        async def attempt(tx: AsyncConnection) -> WithdrawalAttempt | None:
            return await withdraw_next(ports=ports_of(tx), tools=tools, now=clock.now())

        tried = await db.run(attempt, seeking=True)
        if tried is None:
            return False
        metrics.AUTO_WITHDRAWALS.labels(tried.code or "requested").inc()
        if tried.code is None:
            metrics.PAYOUTS_REQUESTED.labels("auto_withdraw").inc()
        else:
            _log.info("automatic withdrawal not made", asset=tried.withdrawal.asset, code=tried.code)
        return True

    return (
        Job("entries.close", CLOSE_ENTRIES_INTERVAL_S, close_entries),
        Job("withdrawals", WITHDRAW_INTERVAL_S, withdraw),
    )
