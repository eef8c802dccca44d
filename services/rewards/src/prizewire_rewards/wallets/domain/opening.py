"""Opening balances: what players had in an earlier system, as transfers that are booked once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from prizewire_money import Asset, AssetRegistry
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.moves import check_intake

OPENING_BUCKETS: Final[Mapping[str, Kind]] = {"winnings": Kind.WINNINGS, "topup": Kind.TOPUP}
"""Where an opening balance may go, by the name that an import uses."""


class OpeningKey(NamedTuple):
    """What an opening balance is booked once for."""

    reference: str
    player: str
    asset: str
    bucket: str


class SumKey(NamedTuple):
    """What is summed up: one bucket of all wallets in one asset."""

    asset: str
    bucket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One opening balance. ``number`` is its place in what was sent; player, asset, bucket and reference are its key."""

    number: int
    player: str
    asset: str
    bucket: str
    amount: int
    reference: str

    @property
    def key(self) -> OpeningKey:
        """What it is booked once for."""
        return OpeningKey(self.reference, self.player, self.asset, self.bucket)

    @property
    def sum_key(self) -> SumKey:
        """The sum that it is part of."""
        return SumKey(self.asset, self.bucket)


class Refusal(NamedTuple):
    """A row that cannot be booked, by its place and its stable code."""

    number: int
    code: str
    detail: str


class Found(NamedTuple):
    """What becomes of openings: new ones, those that were booked before, and those that nothing becomes of."""

    new: list[Opening]
    already: list[Opening]
    refused: list[Refusal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What an import did, or would do: ``before`` is what all imports had booked until then, by asset and bucket."""

    rows: int
    new: Sequence[Opening] = field(default=())
    already: Sequence[Opening] = field(default=())
    refused: Sequence[Refusal] = field(default=())
    before: Mapping[SumKey, int] = field(default_factory=dict)

    def imported(self) -> dict[SumKey, int]:
        """What is new, by asset and bucket."""
        sums: dict[SumKey, int] = {}
        for opening in self.new:
            sums[opening.sum_key] = sums.get(opening.sum_key, 0) + opening.amount
        return sums

    def after(self) -> dict[SumKey, int]:
        """What all imports have booked with this one."""
        imported = self.imported()
        return {key: self.before.get(key, 0) + imported.get(key, 0) for key in {**self.before, **imported}}


def opening_move(opening: Opening) -> Move:
    """From outside, out of an account that holds nothing else than what imports brought into this bucket."""
    return Move(
        TransferType.OPENING_BALANCE,
        source_of(opening.sum_key),
        Account(OPENING_BUCKETS[opening.bucket], opening.player, opening.asset),
        opening.amount,
    )


def source_of(key: SumKey) -> Account:
    """The account whose balance, turned around, is what imports have brought into a bucket."""
    return Account(Kind.EXTERNAL_IN, f"opening:{key.bucket}", key.asset)


def judge(
    openings: Iterable[Opening],
    *,
    booked: Mapping[OpeningKey, int],
    intake: Mapping[str, int],
    assets: AssetRegistry,
) -> Found:
    """Part openings into new, already booked and refused. ``booked`` are the amounts of those that were booked before,
    ``intake`` what has come in from outside so far, by asset.

    What stands twice in one import counts once; with another amount it is refused, as one that was booked with another
    amount is: ``amount_changed`` names both.
    """
    found = Found([], [], [])
    amounts, intakes = dict(booked), dict(intake)
    for opening in openings:
        asset = assets[opening.asset]
        known = amounts.get(opening.key)
        refusal = _forbidden(opening, asset, intake=intakes[asset.code] if known is None else 0)
        if refusal is not None:
            found.refused.append(refusal)
        elif known is None:
            amounts[opening.key] = opening.amount
            intakes[asset.code] += opening.amount
            found.new.append(opening)
        elif known == opening.amount:
            found.already.append(opening)
        else:
            detail = (
                f"{opening.player} has {asset.describe(known)} in {opening.bucket} under {opening.reference}, "
                f"not {asset.describe(opening.amount)}"
            )
            found.refused.append(Refusal(opening.number, "amount_changed", detail))
    return found


def _forbidden(opening: Opening, asset: Asset, *, intake: int) -> Refusal | None:
    if opening.amount <= 0:
        return Refusal(opening.number, "amount_not_positive", "an amount above zero is needed")
    if opening.bucket == "topup" and not asset.redeemable:
        detail = f"{asset.code} was never paid for, so it is no top-up"
        return Refusal(opening.number, "asset_not_redeemable", detail)
    try:
        check_intake(asset, intake=intake, amount=opening.amount)
    except InvalidRequest as error:
        return Refusal(opening.number, error.code, error.detail)
    return None
