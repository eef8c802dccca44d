"""The counters of payouts: what a transaction changed, counted once it is committed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import SIGNER_RAILS
from prizewire_payouts.metrics import (
    ATTEMPT_STEPS,
    CONFIRMATION_SECONDS,
    DUPLICATES_STOPPED,
    DURATION_SECONDS,
    HOLDS,
    NONE,
    PAYOUT_STEPS,
    PAYOUTS_ENDED,
    RETRIES,
    UNPROVED,
    cause_label,
    code_label,
)
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import AttemptTransition, Transition
from prizewire_payouts.payouts.domain.retries import Retry
from prizewire_payouts.payouts.domain.states import FINAL, NO_ATTEMPT_OPEN, AttemptState, PayoutState

RECENT_STEPS: Final = 20_000
"""The newest steps of payouts whose labels counters begin with."""
_ENDED: Final = FINAL | {PayoutState.PAID}


def count(changes: Sequence[Change]) -> None:
    """Count committed changes."""
    for change in changes:
        if isinstance(change.retry, Retry):
            RETRIES.labels("requested").inc()
        elif change.retry is not None:
            RETRIES.labels("filed" if change.retry.code is None else "refused").inc()
        for one in change.transitions:
            _count_step(change, one)
        for of_attempt in change.attempt_transitions:
            _count_attempt_step(change, of_attempt)


class Beginning:
    """Has counters of holds and of ended payouts begin at 0, with the labels of the newest ``steps`` steps of payouts: Prometheus sees that
    a process began again by a value below the last one.
    """

    def __init__(self, *, steps: int = RECENT_STEPS) -> None:
        self._steps = steps
        self._done = False

    async def once(self, tx: AsyncConnection) -> None:
        """Begin them at the first call. Later calls do nothing."""
        if self._done:
            return
        values = {"steps": self._steps, "held": PayoutState.HELD, "ended": list(_ENDED)}
        for row in await tx.execute(_RECENT, values):
            if row.to_state == PayoutState.HELD:
                HOLDS.labels(row.code)
            else:
                labels = (row.rail or NONE, row.asset, row.to_state)
                PAYOUTS_ENDED.labels(*labels, code_label(row.code), cause_label(row.code))
        self._done = True


_RECENT = text(
    "SELECT DISTINCT t.to_state, t.code, p.asset, CASE WHEN t.to_state <> :held THEN p.rail END AS rail FROM ("
    "SELECT payout_id, to_state, code FROM payout_transitions ORDER BY id DESC LIMIT :steps) t "
    "JOIN payouts p ON p.payout_id = t.payout_id WHERE t.to_state = :held OR t.to_state = ANY(CAST(:ended AS text[]))"
)


def _count_step(change: Change, one: Transition) -> None:
    payout = change.payout
    PAYOUT_STEPS.labels(one.new).inc()
    if one.new is PayoutState.UNKNOWN and one.old in NO_ATTEMPT_OPEN:
        UNPROVED.inc()
        DUPLICATES_STOPPED.labels("attempt").inc()
    if one.new is PayoutState.HELD:
        HOLDS.labels(one.code).inc()
    if one.new in _ENDED:
        rail = payout.rail or NONE
        asset = payout.amount.asset.code
        PAYOUTS_ENDED.labels(rail, asset, one.new, code_label(one.code), cause_label(one.code)).inc()
        if one.new is PayoutState.PAID:
            DURATION_SECONDS.labels(rail).observe(_since(payout.requested_at, one))
            if change.first_sent_at is not None:
                CONFIRMATION_SECONDS.labels(rail).observe(_since(change.first_sent_at, one))


def _since(moment: datetime, one: Transition) -> float:
    """Seconds until the transition; 0 where the clock of another process was ahead."""
    return max(0.0, (one.at - moment).total_seconds())


def _count_attempt_step(change: Change, one: AttemptTransition) -> None:
    ATTEMPT_STEPS.labels(one.new).inc()
    if one.new is AttemptState.AMBIGUOUS and one.code == PayoutCode.IDEMPOTENCY_CONFLICT:
        # the execution of a chain holds another payment of the payout, or the rail another one under the key
        DUPLICATES_STOPPED.labels("slot" if change.payout.rail_type in SIGNER_RAILS else "rail").inc()
