"""Which configured rail carries a payout."""

from collections.abc import Sequence
from datetime import datetime

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Capabilities
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.payouts.domain.steps import close
from prizewire_payouts.payouts.ports import Rail


def choose(*, payout: Payout, rails: Sequence[Rail]) -> str | PayoutCode:
    """The first rail, in the order of the configuration, that can carry this payout; else the code that says why
    none can.
    """
    fits = [rail for rail in rails if serves(rail.capabilities, payout)]
    if not fits:
        return PayoutCode.RAIL_UNSUPPORTED
    for rail in fits:
        if _within_limits(rail.capabilities, payout):
            return rail.name
    return PayoutCode.LIMIT_EXCEEDED


def serves(capabilities: Capabilities, payout: Payout) -> bool:
    """Whether a rail of these capabilities carries payouts of this kind, whatever the amount."""
    return (
        capabilities.type == payout.rail_type
        and payout.method_type in capabilities.method_types
        and payout.amount.asset.code in capabilities.assets
    )


def _within_limits(capabilities: Capabilities, payout: Payout) -> bool:
    code = payout.amount.asset.code
    low, high = capabilities.minimum.get(code), capabilities.maximum.get(code)
    return (low is None or payout.amount >= low) and (high is None or payout.amount <= high)


def route(*, change: Change, rails: Sequence[Rail], cause: str, now: datetime) -> None:
    """Give an approved payout its rail, or give it up where there is none."""
    if change.payout.state is not PayoutState.APPROVED:
        return
    chosen = choose(payout=change.payout, rails=rails)
    if isinstance(chosen, PayoutCode):
        close(change=change, to=PayoutState.CLOSING_FAILED, code=chosen, cause=cause, actor="router", now=now)
    else:
        change.set(rail=chosen)
