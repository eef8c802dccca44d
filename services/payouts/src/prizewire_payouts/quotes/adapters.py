"""The key that signs quotes, and the keys that know a signed one again."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from prizewire_contracts.quotes import PayoutQuote
from prizewire_contracts.trust import MessageKey, NotTrusted, TrustStore
from prizewire_payouts.metrics import QUOTES


class MessageKeySigner:
    """Signs quotes with payouts' message key."""

    def __init__(self, key: MessageKey) -> None:
        self._key = key

    @property
    def key_id(self) -> str:
        """The key's name in ``trust.json``."""
        return self._key.keyid

    def sign(self, quote: PayoutQuote) -> str:
        """The signature as 128 hex digits."""
        return self._key.sign(quote.signing_bytes())


class OwnQuotes:
    """Knows the quotes that payouts signed, by its keys in the trust store."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust

    def read(self, document: Mapping[str, Any]) -> PayoutQuote | None:
        """The quote in a document with its ``signature``; None where payouts did not sign it."""
        fields = dict(document)
        signature = fields.pop("signature", None)
        try:
            quote = PayoutQuote(**fields)
            self._trust.verify(
                keyid=quote.key_id,
                service="payouts",
                use="quote",
                message=quote.signing_bytes(),
                signature=signature,
                at=datetime.fromtimestamp(quote.issued_at, UTC),
            )
        except (NotTrusted, TypeError, ValueError, OverflowError, OSError):
            return None
        return quote


def document_of(quote: PayoutQuote, *, signature: str) -> dict[str, Any]:
    """A quote and its signature as one JSON object."""
    return {**asdict(quote), "signature": signature}


def count_answer(*, rail: str, outcome: str) -> None:
    """Count the answer of a rail."""
    QUOTES.labels(rail, outcome).inc()
