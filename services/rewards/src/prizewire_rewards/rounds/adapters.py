"""The digest of a settlement's lines."""

import hashlib
from collections.abc import Sequence

from prizewire_contracts.canonical import canonical_bytes, canonical_hash
from prizewire_money import Asset, AssetRegistry
from prizewire_rewards.prizes.domain.model import Line


class CanonicalDigest:
    """Computes the digest of lines as settlement does."""

    def __init__(self, assets: AssetRegistry) -> None:
        self._assets = assets

    def __call__(self, lines: Sequence[Line], *, asset: str) -> str:
        """Hex SHA-256 of the canonical JSON array ``[[line, player, place, amount], …]``."""
        return canonical_hash(_rows(lines, self._assets[asset])).hex()

    def begin(self, *, asset: str) -> "CanonicalStream":
        """Begin the same digest over lines that are added in batches."""
        return CanonicalStream(self._assets[asset])


class CanonicalStream:
    """The hash of the canonical JSON array, computed batch by batch. Its memory does not grow with the number of lines."""

    def __init__(self, asset: Asset) -> None:
        self._asset = asset
        self._hash = hashlib.sha256(b"[")
        self._empty = True

    def add(self, lines: Sequence[Line]) -> None:
        """Add the next lines, in their order."""
        if not lines:
            return
        if not self._empty:
            self._hash.update(b",")
        self._empty = False
        self._hash.update(canonical_bytes(_rows(lines, self._asset))[1:-1])

    def hexdigest(self) -> str:
        """The digest of all added lines."""
        whole = self._hash.copy()
        whole.update(b"]")
        return whole.hexdigest()


def _rows(lines: Sequence[Line], asset: Asset) -> list[list[int | str]]:
    render = asset.render
    return [[line.line, line.player, line.place, render(line.amount)] for line in lines]
