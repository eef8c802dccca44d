"""Which of several offers is the best, and whether an offer answers what was asked. Pure arithmetic over minor units."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Final

from prizewire_money import Amount, Asset

OFFERED: Final = "offered"
UNAVAILABLE: Final = "unavailable"
FAILED: Final = "failed"
LIMIT: Final = "limit"
WRONG: Final = "wrong"
UNSUPPORTED: Final = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one rail offers. ``place`` is the rail's place in the configuration, from 0: lower is preferred. ``preference`` and ``cost``
    (in minor units of what is paid, None where unknown) are the rail's by the configuration. The other fields are those of
    ``prizewire_contracts.rails.Quote``.
    """

    rail: str
    rail_type: str
    place: int
    debit: Amount
    pay: Amount
    fee: Amount
    fee_borne_by: str
    expires_at: datetime
    rate: str | None
    preference: int = 0
    cost: Fraction | None = None

    @property
    def arrives(self) -> Amount:
        """What reaches the recipient: ``pay``, less a fee in the same asset that the recipient bears."""
        if self.fee_borne_by == "recipient" and self.fee.asset == self.pay.asset:
            return Amount(self.pay.asset, self.pay.minor - self.fee.minor)
        return self.pay

    @property
    def worth(self) -> int:
        """What arrives less the cost of the platform, where both are in one asset, in minor units. A fee in another asset cannot be
        compared, and does not count.
        """
        return self.pay.minor - self.fee.minor if self.fee.asset == self.pay.asset else self.pay.minor


def ranked(offers: Sequence[Offer]) -> list[Offer]:
    """The offers, the best first: by preference, then the most that arrives less the fee, then the most that arrives, then the least
    cost by the configuration, where it names one, then by the place of the rail.
    """

    def place(one: Offer) -> tuple[int, int, int, bool, Fraction, int]:
        cost = Fraction() if one.cost is None else one.cost
        return one.preference, -one.worth, -one.arrives.minor, one.cost is None, cost, one.place

    return sorted(offers, key=place)


def best_of_types(offers: Sequence[Offer]) -> list[Offer]:
    """The best offer of each type of rail, the best first."""
    found: dict[str, Offer] = {}
    for offer in ranked(offers):
        found.setdefault(offer.rail_type, offer)
    return list(found.values())


def problem_of(offer: Offer, *, debit: Amount, pay_asset: Asset, now: datetime) -> str | None:
    """Why an offer does not answer a request to pay ``pay_asset`` for ``debit``; None if it does."""
    if offer.debit != debit:
        return "it is for another debit"
    if offer.pay.asset != pay_asset:
        return "it pays another asset"
    if offer.pay.minor <= 0 or offer.fee.minor < 0 or offer.arrives.minor <= 0:
        return "nothing would arrive, or its fee is below zero"
    if offer.expires_at <= now:
        return "it has expired already"
    if pay_asset == debit.asset:
        if offer.rate is not None or offer.pay.minor > debit.minor:
            return "it has a rate within one asset, or pays more than it debits"
    elif offer.rate is None:
        return "it exchanges assets without a rate"
    return None


def is_within(pay: Amount, *, minimum: Amount | None, maximum: Amount | None) -> bool:
    """Whether a rail with these limits makes a payment of ``pay``."""
    return (minimum is None or pay >= minimum) and (maximum is None or pay <= maximum)
