"""Opening balances: the balances of players in an earlier system, each booked once as a transfer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from prizewire_money import Asset, AssetRegistry
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import check_intake

OPENING_BUCKETS: Final[Mapping[str, Kind]] = {"winnings": Kind.WINNINGS, "topup": Kind.TOPUP}
"""The buckets of opening balances, by their names in an import."""


class OpeningKey(NamedTuple):
    """The key of an opening balance. Each key is booked once."""

    reference: str
    player: str
    asset: str
    bucket: str


class SumKey(NamedTuple):
    """The key of a sum: one bucket of all wallets in one asset."""

    asset: str
    bucket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One opening balance. ``number`` is its row in the request. Reference, player, asset and bucket are its key."""

    number: int
    player: str
    asset: str
    bucket: str
    amount: int
    reference: str

    @property
    def key(self) -> OpeningKey:
        """Its key."""
        return OpeningKey(self.reference, self.player, self.asset, self.bucket)

    @property
    def sum_key(self) -> SumKey:
        """The key of the sum that it is part of."""
        return SumKey(self.asset, self.bucket)


class Refusal(NamedTuple):
    """A row that cannot be booked, with its number and a stable code."""

    number: int
    code: str
    detail: str


class ClassifiedOpenings(NamedTuple):
    """Opening balances by result: new, booked before, or refused."""

    new: list[Opening]
    already: list[Opening]
    refused: list[Refusal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The result of an import or a dry run. ``before`` has the sums of all earlier imports by asset and bucket."""

    rows: int
    new: Sequence[Opening] = field(default=())
    already: Sequence[Opening] = field(default=())
    refused: Sequence[Refusal] = field(default=())
    before: Mapping[SumKey, int] = field(default_factory=dict)

    def imported(self) -> dict[SumKey, int]:
        """The sums of the new opening balances, by asset and bucket."""
        sums: dict[SumKey, int] = {}
        for opening in self.new:
            sums[opening.sum_key] = sums.get(opening.sum_key, 0) + opening.amount
        return sums

    def after(self) -> dict[SumKey, int]:
        """The sums of all imports including this one."""
        imported = self.imported()
        return {key: self.before.get(key, 0) + imported.get(key, 0) for key in {**self.before, **imported}}


def opening_move(opening: Opening) -> Move:
    """The move from outside, out of the account of imports into this bucket."""
    return Move(
        TransferType.OPENING_BALANCE,
        intake_account(opening.sum_key),
        Account(OPENING_BUCKETS[opening.bucket], opening.player, opening.asset),
        opening.amount,
    )


def intake_account(key: SumKey) -> Account:
    """The account of imports into a bucket. Its negative balance is the sum of these imports."""
    return Account(Kind.EXTERNAL_IN, f"opening:{key.bucket}", key.asset)


def classify(
    openings: Iterable[Opening],
    *,
    booked: Mapping[OpeningKey, int],
    intake: Mapping[str, int],
    assets: AssetRegistry,
) -> ClassifiedOpenings:
    """Sort opening balances into new, booked before and refused. ``booked`` has the amounts that were booked before,
    ``intake`` the intake so far by asset (minor units).

    A key that occurs twice in one import counts once. The same key with another amount is refused with
    ``amount_changed``, which names both amounts.
    """
    found = ClassifiedOpenings([], [], [])
    amounts, intakes = dict(booked), dict(intake)
    for opening in openings:
        asset = assets[opening.asset]
        known = amounts.get(opening.key)
        refusal = _refusal(opening, asset, intake=intakes[asset.code] if known is None else 0)
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


def _refusal(opening: Opening, asset: Asset, *, intake: int) -> Refusal | None:
    if opening.amount <= 0:
        return Refusal(
            opening.number,
            "amount_not_positive",
            f"the amount is {asset.describe(opening.amount)}: it must be above zero",
        )
    if opening.bucket == "topup" and not asset.redeemable:
        detail = f"{asset.code} is not redeemable, so it cannot be a top-up: use winnings"
        return Refusal(opening.number, "asset_not_redeemable", detail)
    try:
        check_intake(asset, intake=intake, amount=opening.amount)
    except InvalidRequest as error:
        return Refusal(opening.number, error.code, error.detail)
    return None
