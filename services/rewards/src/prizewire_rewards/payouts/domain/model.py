"""Payouts and payout methods. Amounts are minor units of the payout's asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal
from uuid import UUID

from prizewire_rewards.ledger.domain.records import NO_PARTIES, CreditParties, Event


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
    """A payout method as payouts published it, with the fields that an intent needs."""

    id: UUID
    version: int
    player: str
    type: str
    rail_type: str
    active: bool
    verified: bool
    is_default: bool
    address: str | None
    memo: str | None
    commitment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A payout that rewards requested. ``campaign`` and ``round_id`` are set for direct payouts of prizes. ``rail`` is the
    name of the rail that paid it, ``intent`` the signed intent as JSON. ``version`` counts rewards' events about it.

    A player's payout goes to one of the player's methods. An operator's payout has no player and no method, and is paid
    out of ``funding_account``. ``fee`` is the part of ``amount`` that the player bears as a fee. ``credited_by`` are the
    parties of the money.
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
    round_id: UUID | None = None
    funding_account: str | None = None
    fee: int = 0
    rail: str | None = None
    returned: int = 0
    outcome: Mapping[str, Any] | None = None
    version: int = 0
    credited_by: CreditParties = NO_PARTIES

    @property
    def pay_amount(self) -> int:
        """The amount that is to arrive: ``amount`` minus ``fee``."""
        return self.amount - self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRequested(Event):
    """A payout is requested, with its signed intent."""

    payout: Payout
    reward_ids: tuple[UUID, ...] = ()
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCancelRequested(Event):
    """The cancellation of a payout is requested, by its player or by rewards itself, as ``code`` says."""

    payout: Payout
    by: str
    code: Literal["cancelled_by_player", "winnings_taken_back"]
    reason: str
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
    asset: str
    amount: int
    fee: int
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
    """A requested payout with its present state. ``amount`` is without the player's fee."""

    payout_id: UUID
    player: str | None
    asset: str
    amount: int
    state: str
    requested_at: datetime
    changed_at: datetime
