"""The job that requests due automatic withdrawals."""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import Batches
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.jobs import Job
from prizewire_chassis.logging import get_logger
from prizewire_rewards import metrics
from prizewire_rewards.payouts.handlers.withdrawals import WithdrawalAttempt, withdraw_next
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools

WITHDRAW_INTERVAL_S = 30.0
_log = get_logger(__name__)


def build_withdrawal_job(
    *,
    db: Database,
    ports_of: Callable[[AsyncConnection], PayoutPorts],
    tools: PayoutTools,
    clock: Clock,
) -> Job:
    """The job requests the payout of one due withdrawal in each run. Several instances may run at once: each skips
    withdrawals that another one has locked.
    """
    batches = Batches("withdrawals", db=db, clock=clock)

    async def withdraw() -> bool:
        async def attempt(tx: AsyncConnection) -> WithdrawalAttempt | None:
            return await withdraw_next(ports=ports_of(tx), tools=tools, now=clock.now())

        for tried in await batches.run(attempt, seeking=True):
            if tried is None:
                return False
            count(tried)
        return True

    def count(tried: WithdrawalAttempt) -> None:
        metrics.AUTO_WITHDRAWALS.labels(tried.code or "requested").inc()
        if tried.code is None:
            metrics.PAYOUTS_REQUESTED.labels("auto_withdraw").inc()
        else:
            _log.info("automatic withdrawal not made", asset=tried.withdrawal.asset, code=tried.code)

    return Job("withdrawals", WITHDRAW_INTERVAL_S, withdraw)
