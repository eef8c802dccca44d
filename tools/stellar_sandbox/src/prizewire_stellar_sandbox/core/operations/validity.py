"""Checks that several operations share: asset codes and strings."""

from __future__ import annotations

from typing import Final

from prizewire_stellar_sandbox.core.model import Asset

_ALPHANUMERIC: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_SHORT_CODE_BYTES: Final = 4


def asset_is_valid(asset: Asset) -> bool:
    """Letters and digits, then only zero bytes; a 12-byte code is longer than four characters."""
    code = asset.code.rstrip(b"\0")
    if not code or not _ALPHANUMERIC.issuperset(code):
        return False
    return len(asset.code) == _SHORT_CODE_BYTES or len(code) > _SHORT_CODE_BYTES


def text_is_valid(text: bytes) -> bool:
    """ASCII without control characters."""
    return all(0x20 <= byte < 0x7F for byte in text)
