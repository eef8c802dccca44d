"""Rails of approved payouts, and payouts whose intent expires before anything is sent."""

from collections.abc import Sequence
from datetime import datetime

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.decisions import close, hold_expired
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.payouts.ports import Payouts
from prizewire_payouts.rails.handlers import choose
from prizewire_payouts.rails.ports import Rail

_BATCH = 200


def route(*, change: Change, rails: Sequence[Rail], cause: str, now: datetime) -> None:
    """Give an approved payout its rail, or fail it where no rail can carry it."""
    if change.payout.state is not PayoutState.APPROVED:
        return
    chosen = choose(payout=change.payout, rails=rails)
    if isinstance(chosen, PayoutCode):
        close(change=change, to=PayoutState.CLOSING_FAILED, code=chosen, cause=cause, actor="router", now=now)
    else:
        change.set(rail=chosen)


async def route_again(payouts: Payouts, *, rails: Sequence[Rail], now: datetime) -> bool:
    """Route approved payouts whose rail is no longer configured; True if there may be more."""
    changes = await payouts.lock_unrouted(rails=[rail.name for rail in rails], limit=_BATCH)
    for change in changes:
        route(change=change, rails=rails, cause="reroute", now=now)
    await payouts.save()
    return len(changes) == _BATCH


async def hold_all_expired(payouts: Payouts, *, now: datetime) -> bool:
    """Hold payouts whose intent has expired before anything was sent, and request renewals from rewards; True if there
    may be more.
    """
    changes = await payouts.lock_expired(now=now, limit=_BATCH)
    for change in changes:
        hold_expired(change=change, cause="expiry", now=now)
    await payouts.save()
    return len(changes) == _BATCH
