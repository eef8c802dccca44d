"""Rules of payouts, and the moves that book them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Final

from prizewire_money import Asset
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import PLATFORM
from prizewire_rewards.payouts.domain.model import Payout, PayoutState

BPS: Final = 10_000


RAIL_FEE_MAX_UNITS: Final = 100
"""The most that a rail may charge for one payout, in units of the fee's asset, where no rule says otherwise."""


class FeeBearer(StrEnum):
    """The bearer of a payout's fee."""

    PLAYER = "player"
    """The fee is taken out of the debited amount; less arrives."""
    PLATFORM = "platform"
    """Nothing is taken from the player; the charge of the rail is booked as a cost of the platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRule:
    """The limits and fees of one asset, in minor units. ``maximum`` is for one payout, ``daily_limit`` for all requests of a
    player within a day (UTC); None where there is no limit. ``fee_bps`` is in ten-thousandths of the amount.
    """

    minimum: int = 0
    maximum: int | None = None
    daily_limit: int | None = None
    fee_flat: int = 0
    fee_bps: int = 0
    borne_by: FeeBearer = FeeBearer.PLATFORM

    def fee(self, *, amount: int) -> int:
        """The fee of ``amount``, rounded down to a minor unit."""
        if self.borne_by is FeeBearer.PLATFORM:
            return 0
        return self.fee_flat + amount * self.fee_bps // BPS

    def check(self, asset: Asset, *, amount: int, requested_today: int) -> None:
        """Check one payout of ``amount`` against the limits. ``requested_today`` was requested earlier on the same day.

        Raises:
            InvalidRequest: ``amount_not_positive``, ``amount_below_minimum`` (also where the fee takes the whole amount),
                ``amount_above_maximum`` or ``daily_limit_exceeded``.
        """
        if amount <= 0:
            raise InvalidRequest("amount_not_positive", "an amount above zero is needed")
        if amount < self.minimum:
            detail = (
                f"{asset.describe(amount)} is too little: at least {asset.describe(self.minimum)} is paid out"
            )
            raise InvalidRequest("amount_below_minimum", detail)
        if amount <= (fee := self.fee(amount=amount)):
            detail = f"the fee of {asset.describe(fee)} would leave nothing of {asset.describe(amount)}"
            raise InvalidRequest("amount_below_minimum", detail)
        if self.maximum is not None and amount > self.maximum:
            detail = f"{asset.describe(amount)} is too much: at most {asset.describe(self.maximum)} is paid out at once"
            raise InvalidRequest("amount_above_maximum", detail)
        if self.daily_limit is not None and requested_today + amount > self.daily_limit:
            detail = (
                f"{asset.describe(amount)} is too much: at most {asset.describe(self.daily_limit)} is paid out in a day (UTC), and "
                f"{asset.describe(requested_today)} was requested before"
            )
            raise InvalidRequest("daily_limit_exceeded", detail)

    def most(self, *, balance: int, requested_today: int) -> int:
        """The most of ``balance`` that the limits allow in one payout. The result may be below the minimum."""
        limits = [balance]
        if self.maximum is not None:
            limits.append(self.maximum)
        if self.daily_limit is not None:
            limits.append(self.daily_limit - requested_today)
        return max(0, min(limits))


UNBOUNDED: Final = PayoutRule()


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRules:
    """The rules of players' payouts and of operators' payouts, by asset code. Other assets have no limits and no fee. No
    rule applies to direct payouts of prizes: the prize determines the amount.
    """

    players: Mapping[str, PayoutRule] = field(default_factory=dict)
    operators: Mapping[str, PayoutRule] = field(default_factory=dict)
    rail_fees: Mapping[str, int] = field(default_factory=dict)
    """The most that a rail may charge the platform for one payout, in minor units, by the asset of the fee."""
    rates_max: Mapping[tuple[str, str], Fraction] = field(default_factory=dict)
    """The most units of the second asset that a quote may pay for one unit of the first. Other assets are not exchanged."""

    def of_player(self, asset: str) -> PayoutRule:
        """The rule of a player's payout in this asset."""
        return self.players.get(asset, UNBOUNDED)

    def of_operator(self, asset: str) -> PayoutRule:
        """The rule of an operator's payout in this asset."""
        return self.operators.get(asset, UNBOUNDED)

    def rail_fee_max(self, asset: Asset, *, paid_in: str, paid: int) -> int:
        """The most that a rail may charge in ``asset`` for a payout of ``paid`` in ``paid_in``: the limit of the rule, or
        100 units. In the payout's own asset the limit is at least the paid amount.
        """
        unit: int = 10**asset.decimals
        most = self.rail_fees.get(asset.code, RAIL_FEE_MAX_UNITS * unit)
        return max(most, paid) if asset.code == paid_in else most


def _holding(payout: Payout, asset: str | None = None) -> Account:
    return Account(Kind.PAYOUT_PENDING, str(payout.id), payout.asset if asset is None else asset)


def _exchange(payout: Payout, asset: str) -> Account:
    return Account(Kind.FX, str(payout.id), asset)


def source_of(payout: Payout) -> Account:
    """The account that a payout is paid from: a player's winnings, or a funding account."""
    if payout.player is None:
        return Account(Kind.FUNDING, payout.funding_account or "", payout.asset)
    return Account(Kind.WINNINGS, payout.player, payout.asset)


def requested_moves(payout: Payout) -> list[Move]:
    """The moves of a new payout: its money goes from its source to its own account, and where it pays in another asset, the
    exchange takes what is debited less the fee, and gives what is to be paid.
    """
    moves = [Move(TransferType.PAYOUT_REQUESTED, source_of(payout), _holding(payout), payout.amount)]
    if payout.exchanged:
        debited, paid = payout.asset, payout.paid_asset
        exchanged = TransferType.PAYOUT_EXCHANGED
        moves += [
            Move(exchanged, _holding(payout), _exchange(payout, debited), payout.exchanged),
            Move(exchanged, _exchange(payout, paid), _holding(payout, paid), payout.pay_amount, ordinal=1),
        ]
    return moves


def paid_moves(payout: Payout, *, rail: str, fee: int, fee_asset: str) -> list[Move]:
    """The moves of a payout that the rail paid: the paid amount leaves, the player's fee goes to the fees, and ``fee``,
    which the rail charged the platform, leaves too.
    """
    paid = payout.paid_asset
    treasury = Account(Kind.TREASURY, rail, paid)
    moves = [Move(TransferType.PAYOUT_PAID, _holding(payout, paid), treasury, payout.pay_amount)]
    if payout.fee:
        kept = Account(Kind.FEES, PLATFORM, payout.asset)
        moves.append(Move(TransferType.PAYOUT_FEE, _holding(payout), kept, payout.fee))
    if fee:
        charged = Account(Kind.RAIL_FEES, rail, fee_asset)
        moves.append(Move(TransferType.RAIL_FEE, charged, Account(Kind.TREASURY, rail, fee_asset), fee))
    return moves


def came_back(payout: Payout) -> tuple[int, int]:
    """What may be retried of an ended payout, and the player's fee in it. Without effect all of it came back. Of a returned
    payout the returned amount came back, without the fee, which the player has paid.
    """
    if payout.state is PayoutState.RETURNED:
        return payout.returned, 0
    return payout.amount, payout.fee


def given_back_moves(payout: Payout) -> list[Move]:
    """The moves of a payout that ended without effect: its exchange is reversed at the rate of its quote, and all of its
    money, with its fee, goes back to its source.
    """
    moves = []
    if payout.exchanged:
        debited, paid = payout.asset, payout.paid_asset
        reversed_ = TransferType.PAYOUT_EXCHANGE_REVERSED
        moves = [
            Move(reversed_, _holding(payout, paid), _exchange(payout, paid), payout.pay_amount),
            Move(reversed_, _exchange(payout, debited), _holding(payout), payout.exchanged, ordinal=1),
        ]
    return [*moves, Move(TransferType.PAYOUT_GIVEN_BACK, _holding(payout), source_of(payout), payout.amount)]


def returned_moves(payout: Payout, *, amount: int) -> list[Move]:
    """The moves of a paid payout that its rail returned. The player's fee is not given back. ``amount`` (minor units of the
    paid asset) of a payout that was exchanged is converted at the rate of its quote and rounded down: the rest, less than a
    minor unit, stays in the exchange. All of it converts to what was exchanged.
    """
    treasury = Account(Kind.TREASURY, payout.rail or "", payout.paid_asset)
    returned = TransferType.PAYOUT_RETURNED
    if not payout.exchanged:
        return [Move(returned, treasury, source_of(payout), amount)]
    moves = [Move(returned, treasury, _exchange(payout, payout.paid_asset), amount)]
    if back := returned_debit(payout, amount=amount):
        moves.append(Move(returned, _exchange(payout, payout.asset), source_of(payout), back, ordinal=1))
    return moves


def returned_debit(payout: Payout, *, amount: int) -> int:
    """What the source of a payout gets back of a return of ``amount`` of the paid asset, in minor units of the debited one."""
    return payout.exchanged * amount // payout.pay_amount if payout.exchanged else amount
