"""What operators do with one payout: cancel it, or announce its end again."""

from datetime import datetime
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.decisions import emit_paid, ended, request_cancel
from prizewire_payouts.payouts.domain.errors import NOT_ARRIVED_YET, NotEnded, PayoutNotFound
from prizewire_payouts.payouts.domain.events import Returned
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.payouts.ports import Payouts

_WITHOUT_EFFECT = frozenset({PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED})
_PAID = frozenset({PayoutState.PAID, PayoutState.RETURNED})


async def lock_payout(payouts: Payouts, payout_id: UUID) -> Change:
    """One payout, locked.

    Raises:
        PayoutNotFound: there is none.
    """
    change = (await payouts.lock([payout_id])).get(payout_id)
    if change is None:
        raise PayoutNotFound(f"there is no payout {payout_id}{NOT_ARRIVED_YET}")
    return change


async def cancel_payout(payouts: Payouts, *, payout_id: UUID, by: str, reason: str, now: datetime) -> Payout:
    """Request a cancel as an operator: at once where no attempt is open, else once the rail has proved that no money moved.

    Raises:
        PayoutNotFound: there is none.
        CancelRefused: it has ended.
    """
    change = await lock_payout(payouts, payout_id)
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
    """
    change = await lock_payout(payouts, payout_id)
    _emit_end(change, cause=f"announcement:{by}")
    await payouts.save()
    return change.payout


def _emit_end(change: Change, *, cause: str) -> None:
    payout = change.payout
    if payout.state in _WITHOUT_EFFECT:
        change.emit(event=ended(payout=payout), cause=cause)
        return
    if payout.state not in _PAID:
        raise NotEnded(f"the payout is {payout.state}: only the end of a payout is announced again")
    emit_paid(change=change, cause=cause)
    if payout.state is PayoutState.RETURNED:
        assert payout.return_ref is not None
        assert payout.returned is not None
        # the fee of a return is not stored, and no consumer books it
        none = payout.amount - payout.amount
        change.emit(
            event=Returned(return_ref=payout.return_ref, amount=payout.returned, fee=none), cause=cause
        )
