"""Which configured rail carries a payout."""

from collections.abc import Sequence

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Capabilities
from prizewire_payouts.rails.ports import Rail, Routable


def choose(*, payout: Routable, rails: Sequence[Rail]) -> str | PayoutCode:
    """The name of the first rail, in the order of the configuration, that can carry this payout; else the code that says
    why none can.
    """
    fits = [rail for rail in rails if serves(rail.capabilities, payout)]
    if not fits:
        return PayoutCode.RAIL_UNSUPPORTED
    for rail in fits:
        if _within_limits(rail.capabilities, payout):
            return rail.name
    return PayoutCode.LIMIT_EXCEEDED


def serves(capabilities: Capabilities, payout: Routable) -> bool:
    """Whether a rail of these capabilities carries payouts of this kind, whatever the amount."""
    return (
        capabilities.type == payout.rail_type
        and payout.method_type in capabilities.method_types
        and payout.amount.asset.code in capabilities.assets
    )


def _within_limits(capabilities: Capabilities, payout: Routable) -> bool:
    code = payout.amount.asset.code
    low, high = capabilities.minimum.get(code), capabilities.maximum.get(code)
    return (low is None or payout.amount >= low) and (high is None or payout.amount <= high)
