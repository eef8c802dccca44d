"""Payouts and payout methods. Amounts are minor units of the payout's asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from prizewire_rewards.ledger.domain.parties import NO_PARTIES, CreditParties


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
