"""Gauges of payouts, set from their tables."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import PAYOUT_DECISIONS, RetryDecision
from prizewire_payouts.metrics import OLDEST_UNKNOWN, PAYOUTS, PAYOUTS_WAITING
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
_WAITED_FOR = [
    code
    for code, decision in PAYOUT_DECISIONS.items()
    if decision in {RetryDecision.RETRY, RetryDecision.WAIT}
]


async def measure(tx: AsyncConnection, *, now: datetime) -> None:
    """Set the gauges of payouts to what the tables hold."""
    found = {row.state: row for row in await tx.execute(_COUNTS, {"alive": [str(state) for state in _ALIVE]})}
    waiting = {row.code: row.n for row in await tx.execute(_WAITING, {"now": now})}
    for code in _WAITED_FOR:
        PAYOUTS_WAITING.labels(code).set(waiting.get(code, 0))
    for state in _ALIVE:
        PAYOUTS.labels(state).set(found[state].n if state in found else 0)
    unknown = found.get(PayoutState.UNKNOWN)
    OLDEST_UNKNOWN.set((now - unknown.oldest).total_seconds() if unknown is not None else 0)
