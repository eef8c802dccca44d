"""What the gauges of payouts show, read from the tables. Every query reads payouts that have not ended, through an index by state."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.metrics.definitions import show
from prizewire_contracts.codes import PAYOUT_DECISIONS, PayoutCode, RetryDecision
from prizewire_payouts.metrics import (
    AWAITING_APPROVAL,
    AWAITING_APPROVAL_OLDEST,
    CONFIRMATION_SECONDS,
    DURATION_SECONDS,
    NONE,
    OLDEST_UNKNOWN,
    OPEN_STATES,
    PAYOUTS,
    PAYOUTS_ENDED,
    PAYOUTS_WAITING,
    cause_label,
)
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.rails.ports import Rail

_COUNTS = text(
    f"SELECT coalesce(rail, '{NONE}') AS rail, asset, state, count(*) AS n, min(changed_at) AS oldest FROM payouts "  # noqa: S608 - constants
    "WHERE state = ANY(CAST(:open AS text[])) GROUP BY 1, 2, 3"
)
_WAITING = text(
    "SELECT code, count(*) AS n FROM payouts WHERE state = 'approved' AND due_at > :now AND code IS NOT NULL "
    "GROUP BY code"
)
_NEEDED = text(
    "SELECT rail, asset, sum(amount_minor) AS minor FROM payouts "
    "WHERE state IN ('approved', 'submitting', 'pending') AND rail IS NOT NULL GROUP BY rail, asset"
)
_WAITED_FOR: Final = [
    code
    for code, decision in PAYOUT_DECISIONS.items()
    if decision in {RetryDecision.RETRY, RetryDecision.WAIT}
]


async def measure(tx: AsyncConnection, *, now: datetime, rails: Sequence[Rail] = ()) -> None:
    """Set the gauges of payouts to what the tables hold. ``rails`` are the configured ones: each of them shows 0 for each of its assets
    where it has no payout. What another rail shows vanishes with its last payout.
    """
    figures: dict[tuple[str, ...], float] = {
        (rail.name, asset, state): 0
        for rail in rails
        for asset in rail.capabilities.assets
        for state in OPEN_STATES
    }
    oldest: dict[PayoutState, list[datetime]] = defaultdict(list)
    unknown: dict[tuple[str, ...], float] = {(rail.name,): 0 for rail in rails}
    for row in await tx.execute(_COUNTS, {"open": list(OPEN_STATES)}):
        figures[row.rail, row.asset, row.state] = row.n
        oldest[PayoutState(row.state)].append(row.oldest)
        if row.state == PayoutState.UNKNOWN:
            unknown[(row.rail,)] = max(unknown.get((row.rail,), 0), _age_s(row.oldest, now=now))
    held = sum(n for (_, _, state), n in figures.items() if state == PayoutState.HELD)
    waiting = {row.code: row.n for row in await tx.execute(_WAITING, {"now": now})}
    show(PAYOUTS, figures)
    show(OLDEST_UNKNOWN, unknown)
    show(PAYOUTS_WAITING, {(code,): waiting.get(code, 0) for code in _WAITED_FOR})
    AWAITING_APPROVAL.set(held)
    AWAITING_APPROVAL_OLDEST.set(
        max((_age_s(moment, now=now) for moment in oldest[PayoutState.HELD]), default=0)
    )
    _begin_counters(rails)


async def needed(tx: AsyncConnection) -> dict[tuple[str, str], int]:
    """What payouts need that are approved and not proved to be paid, in minor units, by rail and asset code."""
    return {(row.rail, row.asset): int(row.minor) for row in await tx.execute(_NEEDED)}


def _age_s(moment: datetime, *, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())


def _begin_counters(rails: Sequence[Rail]) -> None:
    """Have the counters of each rail begin at 0: one that first appears with 1 shows no increase to Prometheus."""
    for rail in rails:
        CONFIRMATION_SECONDS.labels(rail.name)
        DURATION_SECONDS.labels(rail.name)
        for asset in rail.capabilities.assets:
            PAYOUTS_ENDED.labels(rail.name, asset, PayoutState.PAID, NONE, NONE)
            # without a first series of failures, their share has no value where none has failed
            code = PayoutCode.ATTEMPTS_EXHAUSTED
            PAYOUTS_ENDED.labels(rail.name, asset, PayoutState.FAILED, code, cause_label(code))
