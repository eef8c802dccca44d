"""Tell the end of a payout again, for whoever lost or discarded the event."""

from datetime import datetime
from uuid import UUID

from prizewire_payouts.errors import ON_ITS_WAY, NotEnded, PayoutNotFound
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.events import Returned
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.payouts.domain.steps import ended, tell_paid
from prizewire_payouts.payouts.ports import Store

_WITHOUT_EFFECT = frozenset({PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED})
_PAID = frozenset({PayoutState.PAID, PayoutState.RETURNED})


async def announce_end(store: Store, *, payout_id: UUID, by: str, now: datetime) -> Payout:
    """Emit the events of the end anew, as the payout is stored, under versions of their own. Nothing else changes.

    Raises:
        PayoutNotFound: there is none.
        NotEnded: it has not ended.
    """
    payout = (await store.lock_payouts([payout_id])).get(payout_id)
    if payout is None:
        raise PayoutNotFound(f"there is no payout {payout_id}{ON_ITS_WAY}")
    change = Change(payout)
    _tell_end(change, cause=f"announcement:{by}", now=now)
    await store.save([change])
    return change.payout


def _tell_end(change: Change, *, cause: str, now: datetime) -> None:
    payout = change.payout
    if payout.state in _WITHOUT_EFFECT:
        change.emit(event=ended(payout=payout), cause=cause, now=now)
        return
    if payout.state not in _PAID:
        raise NotEnded(f"the payout is {payout.state}: only the end of a payout is told again")
    tell_paid(change=change, cause=cause, now=now)
    if payout.state is PayoutState.RETURNED:
        assert payout.return_ref is not None
        assert payout.returned is not None
        # what the rail kept of the return is not stored, and nobody books it
        none = payout.amount - payout.amount
        back = Returned(return_ref=payout.return_ref, amount=payout.returned, fee=none)
        change.emit(event=back, cause=cause, now=now)
