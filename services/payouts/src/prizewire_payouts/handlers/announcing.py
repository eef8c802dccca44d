"""Tell the end of a payout again, for whoever lost or discarded the event."""

from datetime import datetime
from uuid import UUID

from prizewire_payouts.domain.change import Change
from prizewire_payouts.domain.errors import ON_ITS_WAY, NotEnded, PayoutNotFound
from prizewire_payouts.domain.events import Ended, Paid, PayoutFact, Returned
from prizewire_payouts.domain.model import Payout
from prizewire_payouts.domain.states import PayoutState
from prizewire_payouts.ports import Store

__all__ = ["announce_end"]

_WITHOUT_EFFECT = frozenset({PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED})


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
    for event in _end(payout):
        change.emit(event=event, cause=f"announcement:{by}", now=now)
    await store.save([change])
    return change.payout


def _end(payout: Payout) -> list[PayoutFact]:
    if payout.state in _WITHOUT_EFFECT:
        assert payout.code is not None
        return [Ended(state=payout.state, code=payout.code, attempts=payout.attempts, closure=payout.closure)]
    if payout.state is PayoutState.PAID:
        return [_paid(payout)]
    if payout.state is PayoutState.RETURNED:
        assert payout.return_ref is not None
        assert payout.returned is not None
        # what the rail kept of the return is not stored, and nobody books it
        none = payout.amount - payout.amount
        return [_paid(payout), Returned(return_ref=payout.return_ref, amount=payout.returned, fee=none)]
    raise NotEnded(f"the payout is {payout.state}: only the end of a payout is told again")


def _paid(payout: Payout) -> Paid:
    assert payout.rail is not None
    assert payout.fee is not None
    assert payout.fee_borne_by is not None
    assert payout.proof is not None
    assert payout.paid_at is not None
    return Paid(
        attempt_no=payout.attempts,
        rail=payout.rail,
        rail_type=payout.rail_type,
        player=payout.player,
        amount=payout.amount,
        fee=payout.fee,
        fee_borne_by=payout.fee_borne_by,
        proof=payout.proof,
        paid_at=payout.paid_at,
    )
