"""Amounts in requests and answers: decimal text outside, minor units inside."""

from dataclasses import dataclass

from prizewire_chassis.http import Problem
from prizewire_money import Amount, Asset, AssetRegistry, InvalidAmount
from prizewire_rewards.http.codes import STATUSES


@dataclass(frozen=True, slots=True)
class Amounts:
    """Reads and writes decimal amounts of the configured assets."""

    assets: AssetRegistry

    def asset(self, code: str, *, status: int = 422) -> Asset:
        """An asset by its code. ``status`` is 404 where the path names it, and 400 where a filter does.

        Raises:
            Problem: ``asset_unknown``.
        """
        asset = self.assets.get(code)
        if asset is None:
            raise Problem(status=status, code="asset_unknown", detail=f"there is no asset {code}")
        return asset

    def minor(self, asset: Asset, amount: str) -> int:
        """Minor units of a decimal text.

        Raises:
            Problem: with one of ``AMOUNT_CODES``: 400 where the text is no amount, 422 where the asset does not allow it.
        """
        try:
            return Amount.parse(asset, amount).minor
        except InvalidAmount as error:
            raise STATUSES.refuse(error.code, str(error)) from None

    def text(self, asset: str, minor: int) -> str:
        """The decimal text of minor units."""
        return self.assets[asset].render(minor)
