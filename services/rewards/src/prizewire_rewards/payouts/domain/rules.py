"""How much may be paid out at once and in a day, and who bears what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from prizewire_money import Asset
from prizewire_rewards.errors import InvalidRequest

BPS: Final = 10_000
RAIL_FEE_MAX_UNITS: Final = 100
"""The most that a rail may charge for one payout, in units of the fee's asset, where no rule says otherwise."""


class FeeBearer(StrEnum):
    """Who pays for a payout."""

    PLAYER = "player"
    """It is taken out of the amount that is debited; less arrives."""
    PLATFORM = "platform"
    """Nothing is taken from the player; what a rail charges is booked as the platform's own cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRule:
    """The bounds of one asset, in minor units. ``maximum`` is for one payout, ``daily_limit`` for all that a player
    asks for within a day (UTC); None where there is none. ``fee_bps`` is in ten-thousandths of the amount.
    """

    minimum: int = 0
    maximum: int | None = None
    daily_limit: int | None = None
    fee_flat: int = 0
    fee_bps: int = 0
    borne_by: FeeBearer = FeeBearer.PLATFORM

    def fee(self, *, amount: int) -> int:
        """What is taken out of ``amount``, rounded down: the odd part of a minor unit stays with the player."""
        if self.borne_by is FeeBearer.PLATFORM:
            return 0
        return self.fee_flat + amount * self.fee_bps // BPS

    def check(self, asset: Asset, *, amount: int, requested_today: int) -> None:
        """Hold one payout of ``amount`` to the bounds of ``asset``; ``requested_today`` was asked for before.

        Raises:
            InvalidRequest: ``amount_not_positive``, ``amount_below_minimum`` (also where the fee would leave nothing),
                ``amount_above_maximum`` or ``daily_limit_exceeded``.
        """
        if amount <= 0:
            raise InvalidRequest("amount_not_positive", "an amount above zero is needed")
        if amount < self.minimum:
            detail = f"{asset.tell(amount)} is too little: at least {asset.tell(self.minimum)} is paid out"
            raise InvalidRequest("amount_below_minimum", detail)
        if amount <= (fee := self.fee(amount=amount)):
            detail = f"the fee of {asset.tell(fee)} would leave nothing of {asset.tell(amount)}"
            raise InvalidRequest("amount_below_minimum", detail)
        if self.maximum is not None and amount > self.maximum:
            detail = (
                f"{asset.tell(amount)} is too much: at most {asset.tell(self.maximum)} is paid out at once"
            )
            raise InvalidRequest("amount_above_maximum", detail)
        if self.daily_limit is not None and requested_today + amount > self.daily_limit:
            detail = (
                f"{asset.tell(amount)} is too much: at most {asset.tell(self.daily_limit)} is paid out in a day (UTC), and "
                f"{asset.tell(requested_today)} was asked for before"
            )
            raise InvalidRequest("daily_limit_exceeded", detail)

    def most(self, *, balance: int, requested_today: int) -> int:
        """As much of ``balance`` as the bounds let go at once; it may still be too little."""
        bounds = [balance]
        if self.maximum is not None:
            bounds.append(self.maximum)
        if self.daily_limit is not None:
            bounds.append(self.daily_limit - requested_today)
        return max(0, min(bounds))


UNBOUNDED: Final = PayoutRule()


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRules:
    """The rules of players' own payouts and of operators', by asset code; an asset not named has no bounds and no
    fee. Prizes that are delivered directly are under no rule: their campaign says what is paid.
    """

    players: Mapping[str, PayoutRule] = field(default_factory=dict)
    operators: Mapping[str, PayoutRule] = field(default_factory=dict)
    rail_fees: Mapping[str, int] = field(default_factory=dict)
    """The most that a rail may charge the platform for one payout, in minor units, by the asset of the fee."""

    def of_player(self, asset: str) -> PayoutRule:
        """The rule of a player's payout in this asset."""
        return self.players.get(asset, UNBOUNDED)

    def of_operator(self, asset: str) -> PayoutRule:
        """The rule of an operator's payout in this asset."""
        return self.operators.get(asset, UNBOUNDED)

    def rail_fee_max(self, asset: Asset, *, paid_in: str, paid: int) -> int:
        """The most that a rail may charge in ``asset`` for a payout of ``paid`` in ``paid_in``: what the rule says, else
        100 units; in the payout's own asset also as much as was paid.
        """
        unit: int = 10**asset.decimals
        most = self.rail_fees.get(asset.code, RAIL_FEE_MAX_UNITS * unit)
        return max(most, paid) if asset.code == paid_in else most
