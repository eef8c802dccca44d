"""Periodic work on money that comes in and goes out: entries of rounds that ended, automatic withdrawals."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_rewards import metrics
from prizewire_rewards.domain.entries import EntryState
from prizewire_rewards.entrypoints.works import Works
from prizewire_rewards.handlers.entry_ends import close_next
from prizewire_rewards.handlers.withdrawals import Tried, withdraw_next
from prizewire_rewards.ports import Tools

CLOSE_ENTRIES_INTERVAL_S = 1.0
WITHDRAW_INTERVAL_S = 30.0
_log = get_logger(__name__)


def build_money_jobs(*, db: Database, works: Works, tools: Tools, clock: Clock) -> Sequence[Job]:
    """One that closes entries of large rounds a chunk at a time, and one that makes automatic withdrawals that are due.
    Several instances may run them at once: each takes what nobody else has.
    """

    async def close_entries() -> bool:
        async def attempt(tx: AsyncConnection) -> Mapping[EntryState, int] | None:
            return await close_next(work=works.of(tx), tools=tools, now=clock.now())

        reached = await db.run(attempt, seeking=True)
        if reached is None:
            return False
        metrics.count_entries(reached)
        return True

    async def withdraw() -> bool:
        async def attempt(tx: AsyncConnection) -> Tried | None:
            return await withdraw_next(work=works.of(tx), tools=tools, now=clock.now())

        tried = await db.run(attempt, seeking=True)
        if tried is None:
            return False
        metrics.AUTO_WITHDRAWALS.labels(tried.code or "requested").inc()
        if tried.code is None:
            metrics.PAYOUTS_REQUESTED.labels("auto_withdraw").inc()
        else:
            _log.info("automatic withdrawal not made", asset=tried.wish.asset, code=tried.code)
        return True

    return (
        Job("entries.close", CLOSE_ENTRIES_INTERVAL_S, close_entries),
        Job("withdrawals", WITHDRAW_INTERVAL_S, withdraw),
    )
