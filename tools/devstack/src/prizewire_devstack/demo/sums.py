"""The sums at the end: what came in is where it must be, in the books and on the chain, to the minor unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_devstack.api import Api
from prizewire_devstack.demo.following import PAID, Standing
from prizewire_devstack.demo.tournaments import RAIL_DEFAULT, Tournament
from prizewire_money import Amount, Asset, AssetRegistry

STELLAR_DECIMALS: Final = 7
WHEREABOUTS: Final = (
    "paid",
    "payout_pending",
    "platform_fees",
    "organizer_fees",
    "wallets",
    "reserved",
    "available",
)
"""Where a campaign's money can be; `funded` is their sum."""


@dataclass(frozen=True, kw_only=True)
class Sum:
    """A campaign's books. All amounts are of one asset; `matches` says that every sum holds."""

    tournament: str
    asset: str
    funded: Amount
    whereabouts: Mapping[str, Amount]
    paid_lines: Amount

    @property
    def matches(self) -> bool:
        """Whether funded is where it went, and what the books call paid is what the prize list shows as paid."""
        zero = Amount.zero(self.funded.asset)
        return (
            self.funded == sum(self.whereabouts.values(), start=zero)
            and self.paid_lines == self.whereabouts["paid"]
            and self.whereabouts["payout_pending"] == zero
            and self.whereabouts["reserved"] == zero
        )


@dataclass(frozen=True, kw_only=True)
class ChainSum:
    """What left the treasury on the chain, beside what the prize lists show as paid there."""

    asset: str
    left_treasury: str
    paid: str

    @property
    def matches(self) -> bool:
        """Whether both are equal."""
        return self.left_treasury == self.paid


def load_assets(file: Path) -> AssetRegistry:
    """Read `assets.yaml`."""
    return AssetRegistry.from_mapping(yaml.safe_load(file.read_text())["assets"])


def books(
    api: Api, tournament: Tournament, standing: Standing, *, campaign_id: str, assets: AssetRegistry
) -> Sum:
    """Read a campaign's balance sheet and compare it with its prize list."""
    asset = assets[tournament.asset]
    sheet: Mapping[str, Any] = api.get(f"/api/campaigns/{campaign_id}/balance-sheet")
    return Sum(
        tournament=tournament.name,
        asset=asset.code,
        funded=Amount.parse(asset, sheet["funded"]),
        whereabouts={name: Amount.parse(asset, sheet[name]) for name in WHEREABOUTS},
        paid_lines=_paid(asset, standing),
    )


def _paid(asset: Asset, standing: Standing, *, rail: str | None = None) -> Amount:
    amounts = [
        Amount.parse(asset, prize.amount)
        for prize in standing.prizes
        if prize.status == PAID and rail in {None, prize.rail}
    ]
    return sum(amounts, start=Amount.zero(asset))


def chain_sums(
    standings: Sequence[tuple[Tournament, Standing]],
    *,
    before: Mapping[str, int],
    after: Mapping[str, int],
    assets: AssetRegistry,
) -> list[ChainSum]:
    """Compare the treasury's balances (minor units of 10^-7) with what was paid over the chain."""
    found = []
    for code in sorted({tournament.asset for tournament, _ in standings}):
        asset = Asset(code, STELLAR_DECIMALS, redeemable=True)
        paid = Amount.zero(assets[code])
        for tournament, standing in standings:
            if tournament.asset == code:
                paid += _paid(assets[code], standing, rail=RAIL_DEFAULT)
        left = Amount(asset, before[code] - after[code])
        on_chain = Amount.parse(asset, paid.to_wire())
        found.append(ChainSum(asset=code, left_treasury=left.to_wire(), paid=on_chain.to_wire()))
    return found
