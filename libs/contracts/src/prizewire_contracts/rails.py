"""The types of payout rails, and the interface that a provider implements.

It uses no framework, so that handlers may import it. A rail's package implements
``RewardPayoutProvider`` (loaded by payouts) and, where its vendor sends webhooks, ``WebhookVerifier`` (loaded by
webhooks); both are found by the entry point groups below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol
from uuid import UUID

from prizewire_money import Amount

PROVIDER_ENTRY_POINTS = "prizewire.rails"
"""Entry point group; the name is the rail type, the object a factory ``(RailContext) -> RewardPayoutProvider``."""
VERIFIER_ENTRY_POINTS = "prizewire.webhook_verifiers"
"""Entry point group; the name is the rail type, the object a factory ``(VerifierContext) -> WebhookVerifier``."""


class RailType(StrEnum):
    """The kinds of rail. Several rails of one type may be configured under names of their own."""

    STELLAR = "stellar"
    TON_WALLET = "ton_wallet"
    CRYPTO_EXCHANGE = "crypto_exchange"
    FIAT_PROVIDER = "fiat_provider"
    GIFT_CARD = "gift_card"
    TELEGRAM = "telegram_if_supported"
    MANUAL = "manual"
    FAKE = "fake"


SIGNER_RAILS: frozenset[RailType] = frozenset({RailType.STELLAR, RailType.TON_WALLET})
"""Rails whose payments only the signer can sign: giving money back on them needs the signer's closure, and a payment that
was made on them is final.
"""


class Outcome(StrEnum):
    """What is known of one attempt after a call to its provider."""

    PENDING = "pending"
    """Accepted. The provider is processing it, and its status can be read."""
    PAID = "paid"
    """Proven: the money reached the recipient or irrevocably left for them."""
    NO_EFFECT = "no_effect"
    """Proven: no money moved and none will for this attempt."""
    UNKNOWN = "unknown"
    """Nothing is proven: time-out, 5xx, lost connection or an answer that cannot be read."""
    RETURNED = "returned"
    """Proven: it was paid, and the money was returned."""


class CancelOutcome(StrEnum):
    """Answer to a request to cancel."""

    CANCELLED = "cancelled"
    TOO_LATE = "too_late"
    NOT_SUPPORTED = "not_supported"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a rail can do. ``minimum`` and ``maximum`` are by asset code, absent where there is no limit."""

    rail: str
    type: RailType
    assets: frozenset[str]
    method_types: frozenset[str]
    can_cancel: bool = False
    can_return: bool = False
    has_webhooks: bool = False
    look_up_by_key: bool = True
    minimum: Mapping[str, Amount] = field(default_factory=dict)
    maximum: Mapping[str, Amount] = field(default_factory=dict)
    concurrency: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutInstruction:
    """One attempt, as given to a provider.

    ``provider_key`` was stored before the call and is the same at every repetition of this attempt;
    ``details`` are the recipient's details by method type, in clear only here (never logged: no ``repr``).
    """

    payout_id: UUID
    attempt_no: int
    provider_key: UUID
    correlation_id: str
    amount: Amount
    method_type: str
    details: Mapping[str, Any] = field(repr=False)
    memo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutReference:
    """Identifies an attempt at its provider: by our key, and by the provider's reference where it is known."""

    payout_id: UUID
    attempt_no: int
    provider_key: UUID
    amount: Amount
    provider_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a payout would cost. ``fee`` is in the asset paid; ``rate`` is a decimal string, None within one asset."""

    amount: Amount
    fee: Amount
    fee_borne_by: str
    expires_at: datetime
    rate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderResult:
    """What is known of an attempt. ``code`` is a stable code where the outcome is not a success; ``fee`` is what the
    rail took, from ``fee_borne_by``.
    """

    outcome: Outcome
    provider_ref: str | None = None
    code: str | None = None
    amount: Amount | None = None
    fee: Amount | None = None
    fee_borne_by: Literal["platform", "recipient"] = "platform"
    proof: Mapping[str, Any] = field(default_factory=dict)
    return_ref: str | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """A provider's webhook, reduced to a hint to look up the payment: no personal details, no amount. ``event_id`` is unique for
    one configured rail.
    """

    event_id: str
    event_type: str
    provider_key: UUID | None
    provider_ref: str | None


class RewardPayoutProvider(Protocol):
    """A rail's provider. Every method may be called again with the same arguments after a crash."""

    def capabilities(self) -> Capabilities:
        """What this rail can do, from its configuration; no IO."""
        ...

    async def quote(self, instruction: PayoutInstruction, *, now: datetime) -> Quote:
        """Fee, rate and expiry of a payout that is not made."""
        ...

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        """Make the payment, or find the one already made under this key. Anything unclear is ``UNKNOWN``."""
        ...

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        """Read the outcome of an attempt, by our key or the provider's reference."""
        ...

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:
        """Ask the provider to cancel. Only ``CANCELLED`` is a proof that nothing will be paid."""
        ...


class WebhookRefused(Exception):
    """A webhook was not accepted. ``code`` is stable: ``signature_invalid``, ``timestamp_stale``, ``malformed``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class WebhookVerifier(Protocol):
    """Checks the vendor's signature over the raw body and names the event."""

    def verify(
        self, *, body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime
    ) -> ProviderEvent:
        """The event, once one of ``secrets`` (several during a rotation) has signed these very bytes.

        Raises:
            WebhookRefused: bad signature, stale or future timestamp, unreadable body.
        """
        ...
