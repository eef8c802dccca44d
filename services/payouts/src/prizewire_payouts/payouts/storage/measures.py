"""Gauges that are read off the tables."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text

from prizewire_chassis.db import Database
from prizewire_contracts.codes import PAYOUT_DECISIONS, RetryDecision
from prizewire_money import Amount
from prizewire_payouts.approval.domain import day_of
from prizewire_payouts.metrics import AUTOMATIC_USED, OLDEST_UNKNOWN, PAYOUTS, PAYOUTS_WAITING
from prizewire_payouts.payouts.domain.states import FINAL, PayoutState

_ALIVE = [state for state in PayoutState if state not in FINAL and state is not PayoutState.PAID]
_COUNTS = text(
    "SELECT state, count(*) AS n, min(changed_at) AS oldest FROM payouts "
    "WHERE state = ANY(CAST(:alive AS text[])) GROUP BY state"
)
_WAITING = text(
    "SELECT code, count(*) AS n FROM payouts WHERE state = 'approved' AND due_at > :now AND code IS NOT NULL "
    "GROUP BY code"
)
_AUTOMATIC = text("SELECT asset, used_minor FROM automatic_use WHERE day = CAST(:day AS date)")
_WAITED_FOR = [
    code
    for code, decision in PAYOUT_DECISIONS.items()
    if decision in {RetryDecision.RETRY, RetryDecision.WAIT}
]


async def measure(db: Database, *, automatic_in_day: Mapping[str, Amount], now: datetime) -> None:
    """Set the gauges to what the tables hold. ``automatic_in_day`` are the limits of the day by asset code."""
    async with db.transaction() as tx:
        found = {
            row.state: row for row in await tx.execute(_COUNTS, {"alive": [str(state) for state in _ALIVE]})
        }
        used = {row.asset: row.used_minor for row in await tx.execute(_AUTOMATIC, {"day": day_of(now)})}
        waiting = {row.code: row.n for row in await tx.execute(_WAITING, {"now": now})}
    for code in _WAITED_FOR:
        PAYOUTS_WAITING.labels(code).set(waiting.get(code, 0))
    for asset, limit in automatic_in_day.items():
        # where nothing may go without a person, the limit is used up from the start
        AUTOMATIC_USED.labels(asset).set(used.get(asset, 0) / limit.minor if limit else 1)
    for state in _ALIVE:
        PAYOUTS.labels(state).set(found[state].n if state in found else 0)
    unknown = found.get(PayoutState.UNKNOWN)
    OLDEST_UNKNOWN.set((now - unknown.oldest).total_seconds() if unknown is not None else 0)
