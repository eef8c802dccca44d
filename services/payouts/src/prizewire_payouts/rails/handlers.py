"""Which configured rail carries a payout."""

from collections.abc import Sequence
from fractions import Fraction

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Capabilities
from prizewire_money import Amount
from prizewire_payouts.rails.ports import Allowed, Payable, Rail, Routable


def in_order(*, amount: Amount, rails: Sequence[Rail]) -> list[Rail]:
    """The rails in the order in which they carry this amount: by preference, then by cost, those of unknown cost last, then as
    they are given.
    """

    def place(rail: Rail) -> tuple[int, bool, Fraction]:
        cost = rail.costs.get(amount.asset.code)
        return rail.preference, cost is None, Fraction() if cost is None else cost.of(amount=amount)

    return sorted(rails, key=place)


def choose(*, payout: Allowed, rails: Sequence[Rail]) -> Rail | PayoutCode:
    """The first rail, by ``in_order``, that can carry this payout and that its intent allows; else the code that says why none can."""
    rails = in_order(amount=payout.amount, rails=rails)
    fits = [rail for rail in rails if _fits(rail.capabilities, payout)]
    if not fits:
        return PayoutCode.RAIL_UNSUPPORTED
    for rail in fits:
        if _within_limits(rail.capabilities, payout):
            return rail
    return PayoutCode.LIMIT_EXCEEDED


def next_after(*, payout: Allowed, rail: str, rails: Sequence[Rail]) -> Rail | None:
    """The first rail after ``rail``, by ``in_order``, that can carry this payout; None if there is none. So each rail has its turn
    once.
    """
    rails = in_order(amount=payout.amount, rails=rails)
    names = [one.name for one in rails]
    if rail not in names:
        return None
    chosen = choose(payout=payout, rails=rails[names.index(rail) + 1 :])
    return chosen if isinstance(chosen, Rail) else None


def serves(capabilities: Capabilities, payout: Routable) -> bool:
    """Whether a rail of these capabilities carries a payout that was given to its rail type, whatever the amount."""
    return capabilities.type == payout.rail_type and _kind(capabilities, payout)


def served_types(rails: Sequence[Rail]) -> dict[str, tuple[str, ...]]:
    """For each method type the types of the rails that pay to it, each once, by preference, then as they are
    given.
    """
    found: dict[str, dict[str, None]] = {}
    for rail in sorted(rails, key=lambda rail: rail.preference):
        for method_type in rail.capabilities.method_types:
            found.setdefault(method_type, {})[rail.capabilities.type] = None
    return {method_type: tuple(types) for method_type, types in found.items()}


def _fits(capabilities: Capabilities, payout: Allowed) -> bool:
    return capabilities.type in payout.rail_types and _kind(capabilities, payout)


def _kind(capabilities: Capabilities, payout: Payable) -> bool:
    return payout.method_type in capabilities.method_types and payout.amount.asset.code in capabilities.assets


def _within_limits(capabilities: Capabilities, payout: Payable) -> bool:
    code = payout.amount.asset.code
    low, high = capabilities.minimum.get(code), capabilities.maximum.get(code)
    return (low is None or payout.amount >= low) and (high is None or payout.amount <= high)
