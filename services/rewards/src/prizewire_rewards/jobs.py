"""Jobs over the whole ledger: balances of unbounded accounts, the checkpoint, and the invariants."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database
from prizewire_chassis.jobs import STARTUP_DELAY_S, Job
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import BREACHES, CHECKED_AT
from prizewire_rewards import metrics
from prizewire_rewards.checks.invariants import WatchResult

ROLL_UP_INTERVAL_S = 5.0
ROLL_UP_ROWS_MAX = 10_000
SUM_UP_INTERVAL_S = 60.0
SUM_UP_ROWS_MAX = 250_000
_log = get_logger(__name__)


class Watch(Protocol):
    """An invariant that a job checks in parts, the next part in each run."""

    @property
    def name(self) -> str:
        """The invariant's name."""
        ...

    async def run(self, tx: AsyncConnection) -> WatchResult:
        """Check the next part."""
        ...


def build_ledger_jobs(
    *,
    db: Database,
    roll_up: Callable[[AsyncConnection, int], Awaitable[int]],
    sum_up: Callable[[AsyncConnection, int], Awaitable[tuple[int, int]]],
    watches: Sequence[Watch],
    invariants_interval_s: float,
) -> Sequence[Job]:
    """The jobs over a database. ``roll_up`` and ``sum_up`` process at most the given number of rows.

    ``roll_up`` adds movements to the balances of unbounded accounts, and returns how many it added. ``sum_up`` moves the
    checkpoint, and returns how many transfers it added and how many are still after it.
    """

    async def roll_up_balances() -> bool:
        rolled_up = await db.run(lambda tx: roll_up(tx, ROLL_UP_ROWS_MAX))
        metrics.ROLLED_UP.inc(rolled_up)
        return rolled_up >= ROLL_UP_ROWS_MAX

    async def move_checkpoint() -> bool:
        summed, behind = await db.run(lambda tx: sum_up(tx, SUM_UP_ROWS_MAX))
        metrics.LEDGER_BEHIND.set(behind)
        return summed >= SUM_UP_ROWS_MAX

    async def check_invariants() -> bool:
        covered: dict[str, str] = {}
        for watch in watches:
            async with db.transaction() as tx:
                result = await watch.run(tx)
            BREACHES.labels(watch.name).set(len(result.breaches))
            CHECKED_AT.labels(watch.name).set_to_current_time()
            metrics.WATCHED.labels(watch.name).inc(result.checked)
            metrics.WATCHED_WHOLE.labels(watch.name).inc(int(result.whole))
            covered[str(watch.name)] = result.covered
            if result.breaches:
                _log.error("invariant broken", invariant=watch.name, breaches=list(result.breaches[:10]))
        _log.info("invariants checked", covered=covered)
        return False

    return (
        Job("ledger.roll_up", ROLL_UP_INTERVAL_S, roll_up_balances),
        Job("ledger.sum_up", SUM_UP_INTERVAL_S, move_checkpoint, first_s=STARTUP_DELAY_S),
        Job(
            "invariants",
            invariants_interval_s,
            check_invariants,
            first_s=min(invariants_interval_s, STARTUP_DELAY_S),
        ),
    )
