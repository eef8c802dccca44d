"""Assets: the units of amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prizewire_money.errors import InvalidAsset, UnknownAsset

DECIMALS_MAX: Final = 9
"""With 9 decimals, as TON has them, a signed 64-bit integer holds 9.2 billion units; with 18 it would hold 9."""

_CODE: Final = re.compile(r"[A-Z][A-Z0-9]{0,11}")
_FIELDS: Final = frozenset({"decimals", "redeemable"})


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset.

    `code` is its name everywhere (`^[A-Z][A-Z0-9]{0,11}$`; at most twelve characters, as on Stellar), `decimals`
    the digits after the point that one minor unit stands for, `redeemable` whether it may ever leave the
    system: season points may not.

    Raises:
        InvalidAsset: a field breaks its rule.
    """

    code: str
    decimals: int
    redeemable: bool

    def __post_init__(self) -> None:
        if not isinstance(self.code, str) or _CODE.fullmatch(self.code) is None:
            raise InvalidAsset(f"asset code {self.code!r} is not 1 to 12 of A-Z and 0-9, a letter first")
        if type(self.decimals) is not int or not 0 <= self.decimals <= DECIMALS_MAX:
            raise InvalidAsset(
                f"asset {self.code} has decimals {self.decimals!r}, which must be an integer from 0 to {DECIMALS_MAX}: "
                "list it with fewer decimals, and pay it out in whole multiples of these"
            )
        if type(self.redeemable) is not bool:
            raise InvalidAsset(f"redeemable of {self.code} must be true or false")

    @property
    def scale(self) -> int:
        """Minor units in one whole unit."""
        return int(10**self.decimals)

    def describe(self, minor: int) -> str:
        """Minor units as text for people: `11.00 EUR`."""
        return f"{self.render(minor)} {self.code}"

    def render(self, minor: int) -> str:
        """Minor units as decimal text with exactly the asset's decimals: `12.50`, or `12` where there are none."""
        decimals = self.decimals
        if minor < 0:
            return f"-{self.render(-minor)}"
        digits = str(minor).rjust(decimals + 1, "0")
        return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


class AssetRegistry(Mapping[str, Asset]):
    """The assets of one installation by code, in order of their codes. Immutable."""

    __slots__ = ("_assets",)

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        """Take assets that are already built.

        Raises:
            InvalidAsset: a key differs from the code of its asset.
        """
        for code, asset in assets.items():
            if code != asset.code:
                raise InvalidAsset(f"asset {asset.code} is listed under the name {code!r}")
        self._assets: dict[str, Asset] = dict(sorted(assets.items()))

    @classmethod
    def from_mapping(cls, definitions: Mapping[str, Mapping[str, object]]) -> AssetRegistry:
        """Build from `{code: {"decimals": int, "redeemable": bool}}`, as `assets.yaml` holds it.

        Raises:
            InvalidAsset: a definition misses a field, has one too many, or breaks a rule of `Asset`.
        """
        assets: dict[str, Asset] = {}
        for code, fields in definitions.items():
            if not isinstance(fields, Mapping) or set(fields) != _FIELDS:
                raise InvalidAsset(f"asset {code!r} must have decimals and redeemable, and nothing else")
            # Asset itself checks the types that the mapping cannot promise
            assets[code] = Asset(code, fields["decimals"], fields["redeemable"])  # type: ignore[arg-type] # checked there
        return cls(assets)

    def __getitem__(self, code: str) -> Asset:
        try:
            return self._assets[code]
        except (KeyError, TypeError):
            raise UnknownAsset(code, self.refusal_of(code)) from None

    def refusal_of(self, code: object) -> str:
        """The sentence that refuses a code which this registry does not hold. It names the codes that there are."""
        return f"there is no asset {code}: use one of {', '.join(self._assets)}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._assets)

    def __len__(self) -> int:
        return len(self._assets)

    def __repr__(self) -> str:
        return f"AssetRegistry({', '.join(self._assets)})"
