"""Currencies of bank transfers, and the accounts that they are paid from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from prizewire_money import Amount

_DECIMALS: Final = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
"""Decimals of the currencies that do not have two (ISO 4217, list one)."""


def decimals_of(currency: str) -> int:
    """The decimals of a currency by ISO 4217."""
    return _DECIMALS.get(currency, 2)


def in_currency(amount: Amount, currency: str) -> int | None:
    """An amount in the smallest unit of a currency; None where the currency cannot express it exactly."""
    decimals, own = decimals_of(currency), amount.asset.decimals
    if own <= decimals:
        return amount.minor * _power(decimals - own)
    units, rest = divmod(amount.minor, _power(own - decimals))
    return None if rest else units


def _power(exponent: int) -> int:
    """Ten to a power that is not negative."""
    return int("1" + "0" * exponent)


def decimal_text(units: int, currency: str) -> str:
    """A number of smallest units as a decimal string with the currency's decimals."""
    decimals = decimals_of(currency)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Debtor:
    """The account of Prizewire's operator that transfers in one currency are paid from: ``iban``, or ``account`` where the bank
    names accounts otherwise. ``bic`` is None where the bank needs none.
    """

    name: str
    iban: str | None = None
    account: str | None = None
    bic: str | None = None

    def document(self) -> dict[str, Any]:
        """As a batch stores it, so that its file stays the same."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Debtor":
        """The inverse of ``document``."""
        return cls(**document)
