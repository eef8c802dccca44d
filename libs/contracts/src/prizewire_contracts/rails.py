"""The types of payout rails, and the interface that a provider implements.

It uses no framework, so that handlers may import it. A rail's package implements
``RewardPayoutProvider`` (loaded by payouts) and, where its vendor sends webhooks, ``WebhookVerifier`` (loaded by
webhooks); both are found by the entry point groups below, under the provider's name. A configured rail names its
provider, and the provider says which type of rail it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, Protocol, runtime_checkable
from uuid import UUID

from prizewire_money import Amount, Asset

PROVIDER_ENTRY_POINTS = "prizewire.rails"
"""Entry point group; the name is the provider's, the object a factory ``(RailContext) -> RewardPayoutProvider``."""
RAIL_CHECK_ENTRY_POINTS = "prizewire.rail_checks"
"""Entry point group, optional; the name is the provider's, the object a callable ``(RailContext) -> None``. It reads the options of an
entry as the factory does, connects to nothing and writes nothing. Without it the check of the configuration calls the factory.
"""
VERIFIER_ENTRY_POINTS = "prizewire.webhook_verifiers"
"""Entry point group; the name is the provider's, the object a factory ``(VerifierContext) -> WebhookVerifier``."""
METHOD_TYPE_ENTRY_POINTS = "prizewire.method_types"
"""Entry point group; the name is the method type's, the object a ``prizewire_railkit.method_types.MethodType``."""


class RailType:
    """Identifiers of rail types that Prizewire knows. The list is open: a provider may report a type of its own, as long
    as ``is_rail_type`` accepts it, and several providers may report one type.
    """

    STELLAR: Final = "stellar"
    TON_WALLET: Final = "ton_wallet"
    CRYPTO_EXCHANGE: Final = "crypto_exchange"
    FIAT_PROVIDER: Final = "fiat_provider"
    GIFT_CARD: Final = "gift_card"
    TELEGRAM: Final = "telegram_if_supported"
    MANUAL: Final = "manual"
    FAKE: Final = "fake"


_IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")


def is_rail_type(text: str) -> bool:
    """Whether a text can name a rail type or a method type: a lower-case letter, then letters, digits and ``_``, 32 at most."""
    return _IDENTIFIER.fullmatch(text) is not None


SIGNER_RAILS: frozenset[str] = frozenset({RailType.STELLAR, RailType.TON_WALLET})
"""Rail types whose payments only the signer can sign: giving money back on them needs the signer's closure, and a payment that
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
    """What a rail can do. ``rail`` is its configured name, ``type`` its rail type. ``minimum`` and ``maximum`` are by asset
    code, absent where there is no limit.

    ``concurrency`` is the most calls at one time, ``calls_per_s`` the most calls begun in a second (None: no limit).
    ``verified_methods`` are the method types that are paid only to a verified payout method. ``needs_legal_approval`` says
    that the rail is off without a recorded legal approval that is in force. ``pays_by_hand`` says that people make its
    payments, and that their evidence proves them. ``expected_s`` is how long a payment usually takes, None where unknown.
    """

    rail: str
    type: str
    assets: frozenset[str]
    method_types: frozenset[str]
    can_cancel: bool = False
    can_return: bool = False
    has_webhooks: bool = False
    look_up_by_key: bool = True
    minimum: Mapping[str, Amount] = field(default_factory=dict)
    maximum: Mapping[str, Amount] = field(default_factory=dict)
    concurrency: int = 8
    calls_per_s: int | None = None
    verified_methods: frozenset[str] = frozenset()
    needs_legal_approval: bool = False
    pays_by_hand: bool = False
    expected_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutInstruction:
    """One attempt, as given to a provider.

    ``provider_key`` was stored before the call and is the same at every repetition of this attempt;
    ``details`` are the recipient's details by method type, in clear only here (never logged: no ``repr``). ``quote`` is the
    quote at which it is paid, None where none was taken: ``amount`` is its ``pay``.
    """

    payout_id: UUID
    attempt_no: int
    provider_key: UUID
    correlation_id: str
    amount: Amount
    method_type: str
    details: Mapping[str, Any] = field(repr=False)
    memo: str | None = None
    quote: "Quote | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutReference:
    """Identifies an attempt at its provider: by our key, and by the provider's reference where it is known."""

    payout_id: UUID
    attempt_no: int
    provider_key: UUID
    amount: Amount
    provider_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """What a payout would be: ``debit`` leaves the wallet, ``pay_asset`` is to arrive, to details of a method type. The details
    are in clear only here (never logged: no ``repr``).
    """

    debit: Amount
    pay_asset: Asset
    method_type: str
    details: Mapping[str, Any] = field(repr=False)
    memo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a payout would cost. ``pay`` is what the rail is instructed to pay for ``debit``, at ``rate``: a decimal string, units of
    the paid asset for one unit of the debited asset, None within one asset.

    ``fee`` is what the rail charges, in its own asset. Borne by the ``platform``, all of ``pay`` arrives; borne by the
    ``recipient``, the rail takes it from what arrives.
    """

    debit: Amount
    pay: Amount
    fee: Amount
    fee_borne_by: Literal["platform", "recipient"]
    expires_at: datetime
    rate: str | None = None

    def is_worse_than(self, other: "Quote") -> bool:
        """Whether this quote pays less than ``other``, charges a higher fee, or charges in another way."""
        return (
            self.pay.asset != other.pay.asset
            or self.fee.asset != other.fee.asset
            or self.pay.minor < other.pay.minor
            or self.fee.minor > other.fee.minor
            or self.fee_borne_by != other.fee_borne_by
        )


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


class QuoteUnavailable(Exception):
    """A rail names no price for a payout. ``code`` is a stable code of ``PayoutCode``; the text never holds a detail."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class RewardPayoutProvider(Protocol):
    """A rail's provider. Every method may be called again with the same arguments after a crash."""

    def capabilities(self) -> Capabilities:
        """What this rail can do, from its configuration; no IO."""
        ...

    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        """Fee, rate and expiry of a payout that is not made.

        Raises:
            QuoteUnavailable: the rail names no price now, or pays no such payout.
        """
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


@runtime_checkable
class AccountBalances(Protocol):
    """An optional part of a provider: what the account has that it pays from. Metrics show it, and no decision about a payment rests on
    it.
    """

    async def balances(self, *, now: datetime) -> Mapping[str, Amount]:
        """What the account can pay now, by the code of each served asset: without reserves and what is bound. An asset is left out of
        which the account can pay any amount, such as its own.

        Raises:
            Exception: the balances are not known now.
        """
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
