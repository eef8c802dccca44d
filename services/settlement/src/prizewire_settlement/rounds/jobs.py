"""Jobs: finalize rounds whose dispute window has passed, and report results of which parts are missing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_contracts.encode import source_of
from prizewire_settlement.metrics import (
    RESULTS_INCOMPLETE,
    RESULTS_INCOMPLETE_AGE,
    ROUNDS_FINALIZED,
    ROUNDS_REFUSED,
    show_rounds,
)
from prizewire_settlement.rounds.handlers.resolution import finalize_due
from prizewire_settlement.rounds.ports import Queries, UnitOfWork

OPEN_INTERVAL_S: Final = 15.0
_COUNTED_MAX: Final = 1_000_000
"""The most rounds of one state that a run counts."""
_NAMED_MAX: Final = 10
"""Rounds that one run names in the log; all of them are listed over HTTP."""
_log = get_logger(__name__)


def finality_job(
    *,
    db: Database,
    unit_of_work: Callable[[AsyncConnection], UnitOfWork],
    clock: Clock,
    interval_s: float,
) -> Job:
    """The job that emits ``round.finalized``."""
    batches = Batches("rounds.finalize", db=db, clock=clock)

    async def run() -> bool:
        async def work(tx: AsyncConnection) -> int:
            return await finalize_due(
                unit_of_work=unit_of_work(tx), now=clock.now(), actor=source_of("settlement")
            )

        finalized = sum(await batches.run(work, seeking=True))
        ROUNDS_FINALIZED.inc(finalized)
        return finalized > 0

    return Job("rounds.finalize", interval_s, run)


def refused_job(*, db: Database, queries: Callable[[AsyncConnection], Queries], interval_s: float) -> Job:
    """The job that counts the rounds whose settlement rewards refuses for good, for their gauge."""

    async def run() -> bool:
        async with db.transaction() as tx:
            ROUNDS_REFUSED.set(await queries(tx).refused_count())
        return False

    return Job("rounds.refused", interval_s, run)


def open_job(*, db: Database, queries: Callable[[AsyncConnection], Queries]) -> Job:
    """The job that counts the rounds that have not ended, for their gauge."""

    async def run() -> bool:
        async with db.transaction() as tx:
            counts = await queries(tx).open_counts(most=_COUNTED_MAX)
        show_rounds({state.value: count for state, count in counts.items()})
        return False

    return Job("rounds.open", OPEN_INTERVAL_S, run)


def incomplete_job(
    *,
    db: Database,
    queries: Callable[[AsyncConnection], Queries],
    clock: Clock,
    after_s: float,
    interval_s: float,
) -> Job:
    """The job that looks for results of which a part has not come for ``after_s`` seconds. Each is named in the log
    once by a process; the gauges say how many there are and how old the oldest is.
    """
    named: set[tuple[UUID, int]] = set()

    async def run() -> bool:
        now = clock.now()
        until = now - timedelta(seconds=after_s)
        async with db.transaction() as tx:
            asked = queries(tx)
            count = await asked.incomplete_count(until=until)
            oldest = await asked.incomplete(until=until, limit=_NAMED_MAX) if count else []
        RESULTS_INCOMPLETE.set(count)
        since = oldest[0].round.waiting_since if oldest else None
        RESULTS_INCOMPLETE_AGE.set((now - since).total_seconds() if since is not None else 0)
        current = {(one.round.id, one.result_version) for one in oldest}
        for one in oldest:
            if (one.round.id, one.result_version) not in named:
                _log.warning(
                    "parts of a result are missing",
                    round_id=str(one.round.id),
                    match_id=one.round.match_id,
                    source=one.round.source,
                    correlation_id=one.round.correlation_id,
                    result_version=one.result_version,
                    here=one.here,
                    parts=one.parts,
                    since=str(one.round.waiting_since),
                )
        named.intersection_update(current)
        named.update(current)
        return False

    return Job("results.incomplete", interval_s, run)
