"""Exact amounts: integers of minor units of an asset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

from prizewire_money.assets import Asset
from prizewire_money.errors import AssetMismatch, InvalidAmount

MINOR_MAX: Final = 2**63 - 1
"""The largest count of minor units: PostgreSQL's signed bigint."""

_NUMBER: Final = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_DIGITS_MAX: Final = 40
"""Longer texts are no amounts. They are refused before they are parsed."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Amount:
    """An exact amount: `minor` counts the asset's smallest unit and fits a signed 64-bit integer.

    Sums, differences and comparisons work between amounts of the same asset only and never overflow silently.
    Floats are neither accepted nor returned.

    Raises:
        InvalidAmount: `minor` is no integer (`amount_malformed`) or too large (`amount_overflow`).
    """

    asset: Asset
    minor: int

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise InvalidAmount(
                "amount_malformed", f"minor units are integers, not {type(self.minor).__name__}"
            )
        if not -MINOR_MAX <= self.minor <= MINOR_MAX:
            raise InvalidAmount("amount_overflow", _too_much(self.asset))

    @classmethod
    def zero(cls, asset: Asset) -> Amount:
        """The amount zero of this asset."""
        return cls(asset, 0)

    @classmethod
    def parse(cls, asset: Asset, text: object, *, allow_negative: bool = False) -> Amount:
        """Read a decimal text such as `12.5`, with at most the asset's decimals.

        Plain ASCII digits with an optional fraction; no sign but a minus where negative amounts are allowed, no
        exponent, no space, no leading zero, no digitless side of the point, no minus zero.

        Raises:
            InvalidAmount: with code `amount_not_a_string`, `amount_malformed`, `amount_too_many_decimals`,
                `amount_overflow` or `amount_negative`.
        """
        if not isinstance(text, str):
            raise InvalidAmount("amount_not_a_string", f"an amount is a string, not {type(text).__name__}")
        found = _NUMBER.fullmatch(text)
        if found is None:
            raise InvalidAmount(
                "amount_malformed", f"{text[:_DIGITS_MAX]!r} is no amount: a decimal number such as 12.50"
            )
        sign, whole, fraction = found[1], found[2], found[3] or ""
        if len(fraction) > asset.decimals:
            raise InvalidAmount(
                "amount_too_many_decimals",
                f"{text[:_DIGITS_MAX]!r} has more than {asset.code}'s {asset.decimals} decimals",
            )
        if sign and not allow_negative:
            raise InvalidAmount("amount_negative", f"{text[:_DIGITS_MAX]!r} is negative")
        if len(whole) > _DIGITS_MAX:
            raise InvalidAmount("amount_overflow", _too_much(asset))
        minor = int(whole + fraction.ljust(asset.decimals, "0"))
        if sign and minor == 0:
            raise InvalidAmount("amount_malformed", "zero has no sign")
        return cls(asset, -minor if sign else minor)

    def to_wire(self) -> str:
        """The decimal text with exactly the asset's decimals: `12.50`, or `12` for an asset without decimals."""
        return self.asset.render(self.minor)

    def __str__(self) -> str:
        return self.to_wire()

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.asset, self.minor + self._same(other))

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.asset, self.minor - self._same(other))

    def __neg__(self) -> Amount:
        return Amount(self.asset, -self.minor)

    def __lt__(self, other: Amount) -> bool:
        return self.minor < self._same(other)

    def __bool__(self) -> bool:
        return self.minor != 0

    def _same(self, other: object) -> int:
        if not isinstance(other, Amount):
            raise TypeError(f"an Amount does not mix with {type(other).__name__}")
        if other.asset != self.asset:
            raise AssetMismatch(self.asset.code, other.asset.code)
        return other.minor


def _too_much(asset: Asset) -> str:
    return f"more than {asset.describe(MINOR_MAX)}, the largest amount"
