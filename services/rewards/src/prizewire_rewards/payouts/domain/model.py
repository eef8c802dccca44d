"""Payouts and payout methods. Amounts are minor units of the payout's asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from prizewire_rewards.ledger.domain.parties import NO_PARTIES, CreditParties


class PayoutState(StrEnum):
    """What rewards knows of a payout that it requested."""

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
    ): "the player asked to cancel, or a correction took the prize back",
    (PayoutState.REQUESTED, PayoutState.PAID): "the rail paid",
    (PayoutState.REQUESTED, PayoutState.FAILED): "proven without effect",
    (PayoutState.REQUESTED, PayoutState.REJECTED): "an approver refused",
    (PayoutState.REQUESTED, PayoutState.CANCELLED): "cancelled by an operator",
    (PayoutState.CANCEL_REQUESTED, PayoutState.PAID): "the cancel came too late",
    (PayoutState.CANCEL_REQUESTED, PayoutState.FAILED): "proven without effect",
    (PayoutState.CANCEL_REQUESTED, PayoutState.REJECTED): "an approver refused",
    (PayoutState.CANCEL_REQUESTED, PayoutState.CANCELLED): "cancelled as asked",
    (PayoutState.PAID, PayoutState.RETURNED): "the rail gave it back",
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
    """What payouts told of a payout method: enough to bind an intent to it."""

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
    """A payout that rewards asked for. ``campaign`` and ``round_id`` are set on direct ones; ``rail`` is the name
    of the rail that paid it, ``intent`` the signed intent as JSON. ``version`` counts rewards' events of it.

    A player's payout goes to a method of theirs; an operator's has neither, and is paid out of ``funding_account``.
    ``fee`` is what the player bears of ``amount``. ``credited_by`` says whose word brought the money about.
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
        """What is to arrive: the amount less the fee."""
        return self.amount - self.fee
