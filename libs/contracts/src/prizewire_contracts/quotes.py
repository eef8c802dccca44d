"""Quotes: payouts' signed word on what a payout would cost. Rewards verifies one before it debits, and binds it into the intent.

Pure: dataclasses and their canonical bytes, no IO.
"""

from dataclasses import asdict, dataclass

from prizewire_contracts.canonical import canonical_bytes, canonical_hash

QUOTE_TAG = b"prizewire:quote:v1\n"
QUOTE_VERSION = 1
RATE_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,15})?$"
"""A rate: a decimal string with at most 15 digits before and after the point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutQuote:
    """What one way of paying costs. Amounts are decimal strings with the asset's decimals, times Unix seconds.

    ``debit`` leaves the wallet of ``player``, ``pay`` is what the rail is instructed to pay to the payout method. ``rate`` is units
    of the paid asset for one unit of the debited asset, as a decimal string; None within one asset. ``fee`` is what the rail
    charges; ``fee_borne_by`` is ``platform`` (all of ``pay`` arrives) or ``recipient`` (the rail takes it from what arrives).
    ``rail`` is the configured name, ``rail_type`` its type.
    """

    v: int
    network: str
    quote_id: str
    player: str
    method_id: str
    rail: str
    rail_type: str
    debit_asset: str
    debit_amount: str
    pay_asset: str
    pay_amount: str
    rate: str | None
    fee_asset: str
    fee_amount: str
    fee_borne_by: str
    issued_at: int
    expires_at: int
    key_id: str

    def signing_bytes(self) -> bytes:
        """Domain tag and canonical JSON: what the Ed25519 signature covers."""
        return QUOTE_TAG + canonical_bytes(asdict(self))

    def digest(self) -> str:
        """Hex SHA-256 of the canonical JSON, by which an intent names the quote."""
        return canonical_hash([QUOTE_TAG.decode(), asdict(self)]).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteReference:
    """The quote that an intent is bound to: its id and its digest (hex, 64 characters)."""

    id: str
    digest: str
