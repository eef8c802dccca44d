"""What time alone brings about: intents that expire, rails that left the configuration."""

from collections.abc import Sequence
from datetime import datetime

from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.steps import tell_expiry
from prizewire_payouts.payouts.ports import Rail, Store
from prizewire_payouts.rails.handlers import route

_BATCH = 200


async def tell_expired(store: Store, *, now: datetime) -> bool:
    """Hold payouts whose intent ran out before anything was sent, and ask rewards to renew; True if there may be
    more.
    """
    payouts = await store.lock_expired(now=now, limit=_BATCH)
    changes = [Change(payout) for payout in payouts]
    for change in changes:
        tell_expiry(change=change, cause="expiry", now=now)
    await store.save([change for change in changes if change.touched])
    return len(payouts) == _BATCH


async def reroute(store: Store, *, rails: Sequence[Rail], now: datetime) -> bool:
    """Give approved payouts whose rail is no longer configured another one, or give them up; True if there may be
    more.
    """
    payouts = await store.lock_unrouted(rails=[rail.name for rail in rails], limit=_BATCH)
    changes = [Change(payout) for payout in payouts]
    for change in changes:
        route(change=change, rails=rails, cause="reroute", now=now)
    await store.save(changes)
    return len(payouts) == _BATCH
