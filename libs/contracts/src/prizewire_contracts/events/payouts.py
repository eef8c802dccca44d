"""``prizewire.payouts.v1``: decisions of payouts and results of rails. Produced by payouts.

Subject: the payout id for ``payout.*``, the method id for ``method.*``, the top-up id for ``topup.*``. Only the final
events ``paid``, ``failed``, ``rejected``, ``cancelled`` and ``returned`` of payouts move money in rewards; of top-ups
``completed``, ``refunded``, ``disputed`` and ``dispute_won`` do.
"""

from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import Field

from prizewire_contracts.envelope import Amount, AssetCode, Data, Digest, ServiceEnvelope, Timestamp, Version
from prizewire_contracts.text import PRINTABLE, Ascii, EventLine, EventReason, Memo, Name, Word


class PrizeOrigin(Data):
    """The campaign, the competition and the source of the match of the prize that a payout pays. All are None for a
    withdrawal of a wallet, whose money is mixed, and for an operator's payout.
    """

    campaign: Ascii | None = None
    competition: Name | None = None
    source: Ascii | None = None


class _Payout(PrizeOrigin):
    payout_id: UUID


class PayoutApproved(_Payout):
    """The payout may be paid. ``approvers`` is empty where the policy approved it automatically."""

    policy_version: Version
    approvers: list[EventLine]


class PayoutHeld(_Payout):
    """The payout waits for an approver; ``reason`` is a stable code."""

    reason: Word


class PayoutSubmitted(_Payout):
    """An attempt began: its key is stored, and the rail may have been called."""

    attempt_no: Version
    rail: Word
    provider_key: UUID


class PayoutPending(_Payout):
    """The rail accepted the payment and is processing it."""

    attempt_no: Version
    rail: Word
    provider_ref: EventLine | None = None
    tx_hash: Digest | None = None


class PayoutUnknown(_Payout):
    """The outcome is not known. The payout leaves this state only by proof."""

    attempt_no: Version
    rail: Word
    code: Word


class PayoutProof(Data):
    """Evidence of a payment: on a chain the transaction, ledger and operation, elsewhere the rail's reference."""

    tx_hash: Digest | None = None
    ledger: Annotated[int, Field(ge=1)] | None = None
    op: Annotated[int, Field(ge=0)] | None = None
    reference: EventLine | None = None


class PayoutPaid(_Payout):
    """Paid, with proof. ``rail`` is the configured name, ``rail_type`` its type. ``fee`` is in ``fee_asset`` and
    was borne by ``platform`` or ``recipient``.
    """

    attempt_no: Version
    rail: Word
    rail_type: Word
    player: Name | None
    asset: AssetCode
    amount: Amount
    fee: Amount
    fee_asset: AssetCode
    fee_borne_by: Literal["platform", "recipient"]
    proof: PayoutProof
    paid_at: Timestamp


class Closure(Data):
    """The signer's signed ``signing.closed`` event, whole, as it stood on Kafka (canonical JSON text): rewards
    verifies its signature before it gives money back.
    """

    event: Annotated[str, Field(max_length=8_192, pattern=PRINTABLE)]


class PayoutClosed(_Payout):
    """Ended without effect, as ``code`` says; ``reason`` is the reason that a person gave, if any. ``closure``
    is there whenever the intent allowed a rail that the signer serves.
    """

    code: Word
    attempts: Annotated[int, Field(ge=0)]
    closure: Closure | None
    reason: EventReason | None = None


class PayoutReturned(_Payout):
    """The rail returned a paid amount; ``amount`` is at most the paid one."""

    return_ref: EventLine
    asset: AssetCode
    amount: Amount
    fee: Amount


class PayoutRetryRequested(_Payout):
    """An operator retries an ended payout: rewards files a new one, or answers ``payout.retry_refused``. ``retry_no`` counts
    the requests for this payout from 1. ``method_id`` is the payout method to pay to, None for the default one.
    """

    retry_no: Version
    player: Name | None
    by: EventLine
    reason: EventReason
    method_id: UUID | None = None


RAIL_TYPES_MAX: Final = 32
"""The most rail types that pay to one method."""


class MethodChanged(Data):
    """A payout method, whole. ``rail_types`` are the types of the configured rails that pay to it, in order of preference;
    none where no rail does. ``address`` is set for on-chain types, ``commitment`` for the others. ``registered_by`` says
    whether the player or a member of the staff named this destination.
    """

    method_id: UUID
    version: Version
    player: Name
    type: Word
    rail_types: Annotated[list[Word], Field(max_length=RAIL_TYPES_MAX)]
    state: Literal["active", "removed"]
    verified: bool
    is_default: bool
    registered_by: Literal["player", "staff"] = "player"
    address: Ascii | None = None
    memo: Memo | None = None
    commitment: Digest | None = None


class TopupCompleted(Data):
    """A player paid in: ``amount`` is what the provider names, ``reference`` its id of the payment."""

    topup_id: UUID
    player: Name
    asset: AssetCode
    amount: Amount
    rail: Word
    reference: EventLine


class TopupEnded(Data):
    """A top-up session ended without a payment, as far as is known: a later ``topup.completed`` still counts."""

    topup_id: UUID
    player: Name
    code: Word


class TopupReversal(Data):
    """Money went back to the payer (a refund), was taken back by their bank (a dispute), or was given back to us (a
    dispute won). ``reversal_ref`` is the provider's id of that refund or dispute: one reversal for each.
    """

    topup_id: UUID
    player: Name
    asset: AssetCode
    amount: Amount
    rail: Word
    reversal_ref: EventLine


class _PayoutsEnvelope(ServiceEnvelope):
    signed: ClassVar[bool] = True
    producer: ClassVar[str | None] = "payouts"


class PayoutApprovedEvent(_PayoutsEnvelope):
    """Envelope of ``payout.approved``."""

    type: Literal["prizewire.payout.approved.v1"] = "prizewire.payout.approved.v1"
    data: PayoutApproved


class PayoutHeldEvent(_PayoutsEnvelope):
    """Envelope of ``payout.held``."""

    type: Literal["prizewire.payout.held.v1"] = "prizewire.payout.held.v1"
    data: PayoutHeld


class PayoutSubmittedEvent(_PayoutsEnvelope):
    """Envelope of ``payout.submitted``."""

    type: Literal["prizewire.payout.submitted.v1"] = "prizewire.payout.submitted.v1"
    data: PayoutSubmitted


class PayoutPendingEvent(_PayoutsEnvelope):
    """Envelope of ``payout.pending``."""

    type: Literal["prizewire.payout.pending.v1"] = "prizewire.payout.pending.v1"
    data: PayoutPending


class PayoutUnknownEvent(_PayoutsEnvelope):
    """Envelope of ``payout.unknown``."""

    type: Literal["prizewire.payout.unknown.v1"] = "prizewire.payout.unknown.v1"
    data: PayoutUnknown


class PayoutPaidEvent(_PayoutsEnvelope):
    """Envelope of ``payout.paid``."""

    type: Literal["prizewire.payout.paid.v1"] = "prizewire.payout.paid.v1"
    data: PayoutPaid


class PayoutFailedEvent(_PayoutsEnvelope):
    """Envelope of ``payout.failed``."""

    type: Literal["prizewire.payout.failed.v1"] = "prizewire.payout.failed.v1"
    data: PayoutClosed


class PayoutRejectedEvent(_PayoutsEnvelope):
    """Envelope of ``payout.rejected``."""

    type: Literal["prizewire.payout.rejected.v1"] = "prizewire.payout.rejected.v1"
    data: PayoutClosed


class PayoutCancelledEvent(_PayoutsEnvelope):
    """Envelope of ``payout.cancelled``."""

    type: Literal["prizewire.payout.cancelled.v1"] = "prizewire.payout.cancelled.v1"
    data: PayoutClosed


class PayoutReturnedEvent(_PayoutsEnvelope):
    """Envelope of ``payout.returned``."""

    type: Literal["prizewire.payout.returned.v1"] = "prizewire.payout.returned.v1"
    data: PayoutReturned


class PayoutRetryRequestedEvent(_PayoutsEnvelope):
    """Envelope of ``payout.retry_requested``."""

    type: Literal["prizewire.payout.retry_requested.v1"] = "prizewire.payout.retry_requested.v1"
    data: PayoutRetryRequested


class MethodRegisteredEvent(_PayoutsEnvelope):
    """Envelope of ``method.registered``."""

    type: Literal["prizewire.method.registered.v1"] = "prizewire.method.registered.v1"
    data: MethodChanged


class MethodVerifiedEvent(_PayoutsEnvelope):
    """Envelope of ``method.verified``."""

    type: Literal["prizewire.method.verified.v1"] = "prizewire.method.verified.v1"
    data: MethodChanged


class MethodDefaultedEvent(_PayoutsEnvelope):
    """Envelope of ``method.defaulted``: this method became, or ceased to be, the player's default."""

    type: Literal["prizewire.method.defaulted.v1"] = "prizewire.method.defaulted.v1"
    data: MethodChanged


class MethodRoutedEvent(_PayoutsEnvelope):
    """Envelope of ``method.routed``: the configured rails changed, and with them the types of those that pay to this method."""

    type: Literal["prizewire.method.routed.v1"] = "prizewire.method.routed.v1"
    data: MethodChanged


class MethodRemovedEvent(_PayoutsEnvelope):
    """Envelope of ``method.removed``."""

    type: Literal["prizewire.method.removed.v1"] = "prizewire.method.removed.v1"
    data: MethodChanged


class TopupCompletedEvent(_PayoutsEnvelope):
    """Envelope of ``topup.completed``."""

    type: Literal["prizewire.topup.completed.v1"] = "prizewire.topup.completed.v1"
    data: TopupCompleted


class TopupExpiredEvent(_PayoutsEnvelope):
    """Envelope of ``topup.expired``."""

    type: Literal["prizewire.topup.expired.v1"] = "prizewire.topup.expired.v1"
    data: TopupEnded


class TopupFailedEvent(_PayoutsEnvelope):
    """Envelope of ``topup.failed``."""

    type: Literal["prizewire.topup.failed.v1"] = "prizewire.topup.failed.v1"
    data: TopupEnded


class TopupRefundedEvent(_PayoutsEnvelope):
    """Envelope of ``topup.refunded``."""

    type: Literal["prizewire.topup.refunded.v1"] = "prizewire.topup.refunded.v1"
    data: TopupReversal


class TopupDisputedEvent(_PayoutsEnvelope):
    """Envelope of ``topup.disputed``."""

    type: Literal["prizewire.topup.disputed.v1"] = "prizewire.topup.disputed.v1"
    data: TopupReversal


class TopupDisputeWonEvent(_PayoutsEnvelope):
    """Envelope of ``topup.dispute_won``."""

    type: Literal["prizewire.topup.dispute_won.v1"] = "prizewire.topup.dispute_won.v1"
    data: TopupReversal


PayoutEvent = Annotated[
    PayoutApprovedEvent
    | PayoutHeldEvent
    | PayoutSubmittedEvent
    | PayoutPendingEvent
    | PayoutUnknownEvent
    | PayoutPaidEvent
    | PayoutFailedEvent
    | PayoutRejectedEvent
    | PayoutCancelledEvent
    | PayoutReturnedEvent
    | PayoutRetryRequestedEvent
    | MethodRegisteredEvent
    | MethodVerifiedEvent
    | MethodDefaultedEvent
    | MethodRoutedEvent
    | MethodRemovedEvent
    | TopupCompletedEvent
    | TopupExpiredEvent
    | TopupFailedEvent
    | TopupRefundedEvent
    | TopupDisputedEvent
    | TopupDisputeWonEvent,
    Field(discriminator="type"),
]
