"""Quotes of stored payouts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from prizewire_money import Amount, AssetRegistry, MoneyError
from prizewire_payouts.payouts.domain.model import BoundQuote


def bound_quote(document: Mapping[str, Any] | None, *, assets: AssetRegistry) -> BoundQuote | None:
    """The quote in a document with its signature, which is not verified here; None where there is none that can be read."""
    if document is None:
        return None

    def amount(name: str) -> Amount:
        return Amount.parse(assets[document[f"{name}_asset"]], document[f"{name}_amount"])

    try:
        return BoundQuote(
            document=document,
            rail=document["rail"],
            debit=amount("debit"),
            pay=amount("pay"),
            fee=amount("fee"),
            fee_borne_by=document["fee_borne_by"],
            rate=document["rate"],
            expires_at=datetime.fromtimestamp(document["expires_at"], UTC),
        )
    except (MoneyError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
