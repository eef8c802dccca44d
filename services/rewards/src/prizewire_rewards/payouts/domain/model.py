"""Payouts and payout methods. Amounts are minor units of the payout's asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from prizewire_rewards.ledger.domain.records import NO_PARTIES, CreditParties, Event
from prizewire_rewards.payouts.domain.inline import InlineTerms, SealedDestination


class PayoutState(StrEnum):
    """The state of a payout as rewards knows it."""

    REQUESTED = "requested"
    CANCEL_REQUESTED = "cancel_requested"
    PAID = "paid"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    RETURNED = "returned"


PAYOUT_START: Final = frozenset({PayoutState.REQUESTED})


PAYOUT_EDGES: Final[Mapping[tuple[PayoutState, PayoutState], str]] = {
    (
        PayoutState.REQUESTED,
        PayoutState.CANCEL_REQUESTED,
    ): "the player requested its cancellation, or a correction or disownment took money back",
    (PayoutState.REQUESTED, PayoutState.PAID): "the rail paid",
    (PayoutState.REQUESTED, PayoutState.FAILED): "proved to have no effect",
    (PayoutState.REQUESTED, PayoutState.REJECTED): "an approver rejected it",
    (PayoutState.REQUESTED, PayoutState.CANCELLED): "cancelled by an operator",
    (PayoutState.CANCEL_REQUESTED, PayoutState.PAID): "it was paid before the cancellation",
    (PayoutState.CANCEL_REQUESTED, PayoutState.FAILED): "proved to have no effect",
    (PayoutState.CANCEL_REQUESTED, PayoutState.REJECTED): "an approver rejected it",
    (PayoutState.CANCEL_REQUESTED, PayoutState.CANCELLED): "cancelled as requested",
    (PayoutState.PAID, PayoutState.RETURNED): "the rail returned it",
}


RETRYABLE: Final = frozenset(
    {PayoutState.FAILED, PayoutState.REJECTED, PayoutState.CANCELLED, PayoutState.RETURNED}
)
"""The states of a payout whose money came back."""


PAYOUT_FINAL: Final = frozenset(
    {
        PayoutState.PAID,
        PayoutState.FAILED,
        PayoutState.REJECTED,
        PayoutState.CANCELLED,
        PayoutState.RETURNED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A payout method as payouts published it, with the fields that an intent needs. ``rail_types`` are the types of the rails
    that pay to it, in order of preference; without one it cannot be paid to.
    """

    id: UUID
    version: int
    player: str
    type: str
    rail_types: tuple[str, ...]
    active: bool
    verified: bool
    is_default: bool
    address: str | None
    memo: str | None
    commitment: str | None


class Origin(NamedTuple):
    """The prize that a payout pays: its campaign, its competition and the source of its match. All are None for a withdrawal
    of a wallet, whose money is mixed, and for an operator's payout.
    """

    campaign: UUID | None = None
    competition: str | None = None
    source: str | None = None


NO_ORIGIN: Final = Origin()


class BatchPlace(NamedTuple):
    """The batch that a payout was filed with, and its line there, counted from 1."""

    id: UUID
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A payout that rewards requested. ``campaign``, ``competition``, ``source`` (of the match) and ``round_id`` are set for
    direct payouts of prizes. ``rail`` is the name of the rail that paid it, ``intent`` the signed intent as JSON. ``version``
    counts rewards' events about it.

    A player's payout goes to one of the player's methods, or of those of ``payee``, who is paid in the player's place by the
    ``assignment`` of the admins ``assigners``. An operator's payout has no player and is paid out of
    ``funding_account``, to an address without a method. Where the request named the details of the destination, ``inline``
    says what is kept of them, and ``method_id`` is that of the method that payouts makes of them. ``fee`` is the part of ``amount`` that the player bears as a fee. ``credited_by`` are the
    parties of the money. ``retry_of`` is the ended payout that it retries, ``reference`` an
    operator's own id of the payout.

    ``quote`` is the quote that payouts signed for this payout, as JSON with its ``signature``; None without one. Where it
    pays in another asset, ``pay_asset`` and ``pay`` (its minor units) say what is paid for ``amount`` less ``fee``.
    """

    id: UUID
    player: str | None
    asset: str
    amount: int
    correlation_id: str
    state: PayoutState
    filed_by: str
    method_id: UUID | None
    method_version: int | None
    rail_types: tuple[str, ...]
    intent: Mapping[str, Any]
    intent_signature: str
    campaign: UUID | None = None
    competition: str | None = None
    source: str | None = None
    round_id: UUID | None = None
    funding_account: str | None = None
    fee: int = 0
    quote: Mapping[str, Any] | None = None
    pay_asset: str | None = None
    pay: int | None = None
    rail: str | None = None
    returned: int = 0
    outcome: Mapping[str, Any] | None = None
    version: int = 0
    credited_by: CreditParties = NO_PARTIES
    retry_of: UUID | None = None
    reference: str | None = None
    inline: InlineTerms | None = None
    batch: BatchPlace | None = None
    payee: str | None = None
    assignment: UUID | None = None
    assigners: tuple[str, ...] = ()

    @property
    def origin(self) -> Origin:
        """The prize that it pays."""
        return Origin(self.campaign, self.competition, self.source)

    @property
    def pay_amount(self) -> int:
        """The amount that is to arrive, in minor units of ``paid_asset``: what the quote says, or ``amount`` minus ``fee``."""
        return self.amount - self.fee if self.pay is None else self.pay

    @property
    def paid_asset(self) -> str:
        """The code of the asset that is to arrive."""
        return self.asset if self.pay_asset is None else self.pay_asset

    @property
    def exchanged(self) -> int:
        """The part of ``amount`` that is exchanged for another asset; 0 where the payout pays in the debited asset."""
        return 0 if self.pay is None else self.amount - self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRequested(Event):
    """A payout is requested, with its signed intent, and with the details of its destination where the request named them. ``batch_lines`` is
    the number of lines of its batch.
    """

    payout: Payout
    reward_ids: tuple[UUID, ...] = ()
    cause: str | None = None
    sealed: SealedDestination | None = None
    batch_lines: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCancelRequested(Event):
    """The cancellation of a payout is requested, by its player, an operator or rewards itself, as ``code`` says."""

    payout: Payout
    by: str
    code: Literal["cancelled_by_player", "cancelled_by_operator", "winnings_taken_back"]
    reason: str
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRetryRefused(Event):
    """No new payout is filed for the ended ``payout``; ``code`` is a ``RetryRefusal``."""

    payout: Payout
    retry_no: int
    code: str
    detail: str
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRenewed(Event):
    """The intent of a payout was renewed: same terms, later expiry."""

    payout: Payout
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutView:
    """A payout as its player sees it."""

    id: UUID
    player: str | None
    payee: str | None
    asset: str
    amount: int
    fee: int
    pay_asset: str | None
    pay: int | None
    state: PayoutState
    method_id: UUID | None
    campaign: UUID | None
    round_id: UUID | None
    correlation_id: str
    requested_at: datetime
    changed_at: datetime
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingView:
    """A funding account with its balance and the money that its open payouts hold."""

    name: str
    asset: str
    balance: int
    payout_pending: int
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedPayout:
    """A requested payout with its present state. ``amount`` is without the player's fee. ``requested_at`` and ``changed_at`` are by the
    service's clock, ``stored_at`` is by the database's.
    """

    payout_id: UUID
    player: str | None
    payee: str | None
    asset: str
    amount: int
    state: str
    requested_at: datetime
    changed_at: datetime
    stored_at: datetime
