"""What operators do with one payout: cancel it, or announce its end again."""

from datetime import datetime
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.payouts.domain.change import (
    UNASKED_PAUSE,
    Change,
    emit_paid,
    ended,
    finish_closing,
    reopen,
    request_cancel,
)
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import (
    CLOSING,
    FINAL,
    AttemptState,
    AttemptUnproved,
    NotEnded,
    PayoutState,
    Returned,
)
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.ports import Payouts

_WITHOUT_EFFECT = frozenset({PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED})


_PAID = frozenset({PayoutState.PAID, PayoutState.RETURNED})


async def cancel_payout(payouts: Payouts, *, payout_id: UUID, by: str, reason: str, now: datetime) -> Payout:
    """Request a cancel as an operator: at once where no attempt is open, else once the rail has proved that no money moved.

    Raises:
        PayoutNotFound: there is none.
        CancelRefused: it has ended.
    """
    change = await payouts.lock_one(payout_id)
    request_cancel(
        change=change,
        by=by,
        code=PayoutCode.CANCELLED_BY_OPERATOR,
        reason=reason,
        cause=f"cancel:{by}",
        now=now,
    )
    await payouts.save()
    return change.payout


async def announce_end(payouts: Payouts, *, payout_id: UUID, by: str) -> Payout:
    """Publish the events of the payout's end again, as it is stored, with new versions. Nothing else changes.

    Raises:
        PayoutNotFound: there is none.
        NotEnded: it has not ended.
        AttemptUnproved: no answer of a rail led to this end: the row was changed in the database.
    """
    change = await payouts.lock_one(payout_id)
    _emit_end(change, cause=f"announcement:{by}")
    await payouts.save()
    return change.payout


def _emit_end(change: Change, *, cause: str) -> None:
    payout, attempt = change.payout, change.attempt
    if payout.state in _WITHOUT_EFFECT:
        if change.unproved:
            raise AttemptUnproved(
                f"the payout is {payout.state}, but no rail proved that its attempts had no effect"
            )
        change.emit(event=ended(payout=payout), cause=cause)
        return
    if payout.state not in _PAID:
        raise NotEnded(f"the payout is {payout.state}: only the end of a payout is announced again")
    effect = AttemptState.EFFECTED if payout.state is PayoutState.PAID else AttemptState.REVERSED
    if attempt is None or not attempt.authentic or attempt.state is not effect:
        raise AttemptUnproved(f"the payout is {payout.state}, but no rail proved that")
    emit_paid(change=change, cause=cause)
    if payout.state is PayoutState.RETURNED:
        assert payout.return_ref is not None
        assert payout.returned is not None
        # the fee of a return is not stored, and no consumer books it
        none = payout.amount - payout.amount
        change.emit(
            event=Returned(return_ref=payout.return_ref, amount=payout.returned, fee=none), cause=cause
        )


async def apply_closure(
    payouts: Payouts, *, payout_id: UUID, closure: str, cause: str, now: datetime
) -> bool:
    """The signer will never sign for this payout again. ``closure`` is its signed event, whole.

    A tombstone is permanent: one that arrives while the payout is not closing, or may have been paid by a transaction that
    payouts did not ask for, is kept until it closes. False where there is no such payout.
    """
    change = (await payouts.lock([payout_id])).get(payout_id)
    if change is None:
        return False
    payout = change.payout
    if payout.state in CLOSING and change.signed_unasked:
        change.set(closure=closure)
        reopen(change=change, cause=cause, now=now, due_at=now + UNASKED_PAUSE)
    elif payout.state in CLOSING:
        finish_closing(change=change, closure=closure, cause=cause, actor="signer", now=now)
    elif payout.closure is None and payout.state not in FINAL:
        change.set(closure=closure)
    await payouts.save()
    return True


async def apply_close_refusal(
    payouts: Payouts,
    *,
    payout_id: UUID,
    cause: str,
    not_before: datetime | None,
    schedule: Schedule,
    now: datetime,
) -> bool:
    """The signer may have signed for this payout on a slot: its outcome is unknown until the rail proves it. The rail is
    asked again at ``not_before`` where the signer names it, but no later than the longest gap between two look-ups.

    False where there is no such payout.
    """
    change = (await payouts.lock([payout_id])).get(payout_id)
    if change is None:
        return False
    if change.payout.state in CLOSING:
        due = now + schedule.look_again_in(polls=change.payout.polls + 1)
        if not_before is not None:
            due = max(now, min(not_before, now + schedule.poll_max))
        reopen(change=change, cause=cause, now=now, due_at=due)
        await payouts.save()
    return True
