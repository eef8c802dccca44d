"""Errors about money.

MoneyError                          money
├── UnknownAsset                    asset_unknown
├── InvalidAsset                    invalid_asset
├── AssetMismatch                   asset_mismatch
├── InvalidAmount                   amount_not_a_string | amount_malformed | amount_too_many_decimals
│                                   | amount_overflow | amount_negative
├── InvalidAllocation               invalid_allocation
└── InvalidBasisPoints              invalid_basis_points

Every error carries a stable `code`; callers compare codes and classes, never texts. None of them is worth a
retry: the same input fails the same way.
"""

from __future__ import annotations

from typing import ClassVar, Literal

AmountCode = Literal[
    "amount_not_a_string",
    "amount_malformed",
    "amount_too_many_decimals",
    "amount_overflow",
    "amount_negative",
]
"""The codes of invalid amounts."""


class MoneyError(Exception):
    """The root of this tree; `code` is stable, `retryable` is always false."""

    code: str = "money"
    retryable: ClassVar[bool] = False


class UnknownAsset(MoneyError, KeyError):
    """An asset code that the registry does not hold."""

    code = "asset_unknown"

    def __init__(self, asset_code: object, message: str) -> None:
        super().__init__(message)
        self.asset_code = asset_code

    def __str__(self) -> str:
        """The message as it is: KeyError would print it quoted."""
        return str(self.args[0])


class InvalidAsset(MoneyError, ValueError):
    """An asset's definition that breaks a rule: code, decimals or redeemable."""

    code = "invalid_asset"


class AssetMismatch(MoneyError, TypeError):
    """Two amounts of different assets were added, subtracted or compared."""

    code = "asset_mismatch"

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"amounts of {left} and {right} do not mix")
        self.left = left
        self.right = right


class InvalidAmount(MoneyError, ValueError):
    """A text or number that is no amount of its asset; `code` says why."""

    def __init__(self, code: AmountCode, message: str) -> None:
        super().__init__(message)
        self.code: AmountCode = code


class InvalidAllocation(MoneyError, ValueError):
    """A total that cannot be shared out by the given weights."""

    code = "invalid_allocation"


class InvalidBasisPoints(MoneyError, ValueError):
    """Basis points outside 0..10000, or fees that together exceed the whole."""

    code = "invalid_basis_points"
