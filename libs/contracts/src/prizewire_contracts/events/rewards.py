"""``prizewire.rewards.v1``: changes of campaigns and prizes, and payout requests. Produced by rewards.

Subject: the campaign id for ``campaign.*`` and ``pool.*``, the round id for ``reward.*`` and ``round.refused``, the
disownment id for ``round.disowned``, the reward id for ``claim.*``, the entry id for ``entry.*``, the receivable or top-up
id for ``wallet.*``, the payout id for ``payout.*``.
"""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from prizewire_contracts.envelope import Amount, AssetCode, Data, HexSignature, Version
from prizewire_contracts.events.parties import MoneyParty
from prizewire_contracts.events.wallets import (
    ClaimApprovedEvent,
    ClaimExpiredEvent,
    ClaimHeldEvent,
    ClaimOpenedEvent,
    ClaimRejectedEvent,
    EntryClosedEvent,
    EntryEarnedEvent,
    EntryPaidEvent,
    EntryRefundedEvent,
    EntryRefusedEvent,
    FromRewards,
    ReceivableOpenedEvent,
    ReceivableRecoveredEvent,
    ReceivableRestoredEvent,
    ReceivableWrittenOffEvent,
    TopupCreditedEvent,
    TopupReversedEvent,
)
from prizewire_contracts.intents import Intent
from prizewire_contracts.quotes import PayoutQuote
from prizewire_contracts.text import Ascii, EventLine, EventReason, Name, Word, printable_members


class RewardState(StrEnum):
    """Where a reward's money is."""

    PENDING = "pending"
    CREDITED = "credited"
    CLAIMABLE = "claimable"
    HELD = "held"
    UNFUNDED = "unfunded"
    REVERSED = "reversed"
    EXPIRED = "expired"
    REJECTED = "rejected"


class CampaignChanged(Data):
    """A campaign with its present state (draft, active, paused, exhausted, ended) and delivery."""

    campaign: UUID
    name: Name
    asset: AssetCode
    state: Word
    delivery: Word
    actor: EventLine


class CampaignFunded(Data):
    """Money was booked into a campaign's pool; ``funded_total`` is the sum of all fundings."""

    campaign: UUID
    asset: AssetCode
    amount: Amount
    funded_total: Amount
    actor: EventLine


class PoolLevel(Data):
    """The amount that a pool can still grant."""

    campaign: UUID
    asset: AssetCode
    available: Amount


class RewardLine(Data):
    """One player's reward of a round. ``transfer_id`` is the ledger transfer that moved it, None while it is unfunded
    or was never more than held. ``amount`` is the prize; in ``reward.reversed`` it is what was taken back of it.
    ``note`` is a stable code where something keeps it from going on, such as ``no_payout_method``.
    ``short`` is the part of the prize that the pool could not cover yet; None where it could cover all.
    """

    reward_id: UUID
    line: Version
    player: Name
    amount: Amount
    state: RewardState
    transfer_id: UUID | None
    note: Word | None = None
    short: Amount | None = None


class RewardAllocated(Data):
    """The lines of one settled part; of a corrected one (settlement version 2 and above) those that changed. In
    ``reward.released`` those lines whose state moved on, in ``reward.held`` those that a rule keeps back, in
    ``reward.reversed`` those of which something was taken back, each of the part that it stood in.
    """

    round_id: UUID
    settlement_version: Version
    part: Version
    parts: Version
    campaign: UUID
    asset: AssetCode
    lines: list[RewardLine]


class RoundRefusal(StrEnum):
    """Why a settlement can never be booked. A code never changes its meaning."""

    CAMPAIGN_UNKNOWN = "campaign_unknown"
    """No campaign has the id that the rule names; campaigns get their ids from rewards alone."""
    ASSET_MISMATCH = "asset_mismatch"
    """The settlement is in another asset than its campaign."""
    CAMPAIGN_ENDED = "campaign_ended"
    """The campaign has ended, and no ended campaign begins again."""


class RoundRefused(Data):
    """A settlement version of a round will never be booked: nothing of it was taken from a pool, and nothing waits. It is
    published once for each version, with the first ``part`` that was refused. Settlement settles the round again, with the
    next version, or voids it.
    """

    round_id: UUID
    settlement_version: Version
    part: Version
    code: RoundRefusal
    detail: EventReason


class RoundDisowned(Data):
    """Two admins disowned a round: everything that rewards booked of it is taken back, and nothing of it is ever booked
    again. Settlement may not have such a round. One that it has can only be voided. ``reason`` is that of the admin who
    filed the disownment.
    """

    round_id: UUID
    disownment_id: UUID
    reason: EventReason


class CampaignWithdrawn(Data):
    """Money that no round had reserved was withdrawn from a pool; ``withdrawn_total`` is the sum of all withdrawals."""

    campaign: UUID
    asset: AssetCode
    amount: Amount
    withdrawn_total: Amount
    actor: EventLine


class SealedDetails(Data):
    """Payout details that the request names itself: ``box`` is sealed for payouts' key ``key_id``, see ``sealing``."""

    key_id: Ascii
    box: Annotated[str, Field(max_length=16_384, pattern=r"^[A-Za-z0-9+/=_-]+$")]


class BatchLine(Data):
    """The place of a payout in the batch that it was requested with: line ``line`` of ``lines``, counted from 1. The approval of
    the batch is the approval of each of its payouts.
    """

    batch_id: UUID
    line: Version
    lines: Version


class PayoutRequested(Data):
    """Pay this out. ``intent`` with ``intent_signature`` (by rewards) is the whole authority; ``filed_by`` is the
    player, operator or automatism behind it. ``method_id`` is None for an operator's payout. ``parties`` are the persons
    whose word brought the money about; ``one_person`` names each who alone said who is paid some of it. ``retry_of`` is the
    ended payout that an operator retries by this one. ``quote`` with ``quote_signature`` (by payouts) is the quote that the
    intent names; both are None without one. ``sealed_details`` are the details of a destination that is no registered method:
    payouts makes a method of them, whose id is ``ids.inline_method_id`` and stands in ``method_id``, with version 1.
    """

    payout_id: UUID
    player: Name | None
    reward_ids: list[UUID]
    method_id: UUID | None
    method_version: Version | None
    intent: Annotated[Intent, AfterValidator(printable_members)]
    intent_signature: HexSignature
    filed_by: EventLine
    parties: list[MoneyParty] = Field(default_factory=list)
    one_person: list[EventLine] = Field(default_factory=list)
    retry_of: UUID | None = None
    sealed_details: SealedDetails | None = None
    batch: BatchLine | None = None
    quote: Annotated[PayoutQuote, AfterValidator(printable_members)] | None = None
    quote_signature: HexSignature | None = None


class PayoutCancelRequested(Data):
    """A request to cancel a payout. Payouts decides. ``by`` is the person, or the part of rewards; ``code`` says who wants
    it, and is the code of the payout if it ends as cancelled: its player, an operator (of a payout out of a funding account), or
    rewards itself, because a correction or a disownment takes the winnings back. An event without ``code`` is the player's.
    """

    payout_id: UUID
    by: EventLine
    reason: EventReason
    code: Literal["cancelled_by_player", "cancelled_by_operator", "winnings_taken_back"] = (
        "cancelled_by_player"
    )


class PayoutRetryRefused(Data):
    """No new payout is filed for an ended one. ``retry_no`` is that of the request, ``code`` a ``RetryRefusal``."""

    payout_id: UUID
    retry_no: Version
    code: Word
    detail: EventReason


class PayoutIntentRenewed(Data):
    """The same payout on the same terms, with a later expiry."""

    payout_id: UUID
    intent: Annotated[Intent, AfterValidator(printable_members)]
    intent_signature: HexSignature


class CampaignCreatedEvent(FromRewards):
    """Envelope of ``campaign.created``."""

    type: Literal["prizewire.campaign.created.v1"] = "prizewire.campaign.created.v1"
    data: CampaignChanged


class CampaignStateChangedEvent(FromRewards):
    """Envelope of ``campaign.state_changed``."""

    type: Literal["prizewire.campaign.state_changed.v1"] = "prizewire.campaign.state_changed.v1"
    data: CampaignChanged


class CampaignFundedEvent(FromRewards):
    """Envelope of ``campaign.funded``."""

    type: Literal["prizewire.campaign.funded.v1"] = "prizewire.campaign.funded.v1"
    data: CampaignFunded


class PoolLowEvent(FromRewards):
    """Envelope of ``pool.low``."""

    type: Literal["prizewire.pool.low.v1"] = "prizewire.pool.low.v1"
    data: PoolLevel


class PoolExhaustedEvent(FromRewards):
    """Envelope of ``pool.exhausted``."""

    type: Literal["prizewire.pool.exhausted.v1"] = "prizewire.pool.exhausted.v1"
    data: PoolLevel


class RewardAllocatedEvent(FromRewards):
    """Envelope of ``reward.allocated``."""

    type: Literal["prizewire.reward.allocated.v1"] = "prizewire.reward.allocated.v1"
    data: RewardAllocated


class RewardReleasedEvent(FromRewards):
    """Envelope of ``reward.released``."""

    type: Literal["prizewire.reward.released.v1"] = "prizewire.reward.released.v1"
    data: RewardAllocated


class PayoutRequestedEvent(FromRewards):
    """Envelope of ``payout.requested``."""

    type: Literal["prizewire.payout.requested.v1"] = "prizewire.payout.requested.v1"
    data: PayoutRequested


class PayoutCancelRequestedEvent(FromRewards):
    """Envelope of ``payout.cancel_requested``."""

    type: Literal["prizewire.payout.cancel_requested.v1"] = "prizewire.payout.cancel_requested.v1"
    data: PayoutCancelRequested


class PayoutIntentRenewedEvent(FromRewards):
    """Envelope of ``payout.intent_renewed``."""

    type: Literal["prizewire.payout.intent_renewed.v1"] = "prizewire.payout.intent_renewed.v1"
    data: PayoutIntentRenewed


class PayoutRetryRefusedEvent(FromRewards):
    """Envelope of ``payout.retry_refused``."""

    type: Literal["prizewire.payout.retry_refused.v1"] = "prizewire.payout.retry_refused.v1"
    data: PayoutRetryRefused


class CampaignWithdrawnEvent(FromRewards):
    """Envelope of ``campaign.withdrawn``."""

    type: Literal["prizewire.campaign.withdrawn.v1"] = "prizewire.campaign.withdrawn.v1"
    data: CampaignWithdrawn


class RewardHeldEvent(FromRewards):
    """Envelope of ``reward.held``."""

    type: Literal["prizewire.reward.held.v1"] = "prizewire.reward.held.v1"
    data: RewardAllocated


class RewardExpiredEvent(FromRewards):
    """Envelope of ``reward.expired``."""

    type: Literal["prizewire.reward.expired.v1"] = "prizewire.reward.expired.v1"
    data: RewardAllocated


class RewardReversedEvent(FromRewards):
    """Envelope of ``reward.reversed``."""

    type: Literal["prizewire.reward.reversed.v1"] = "prizewire.reward.reversed.v1"
    data: RewardAllocated


class RoundRefusedEvent(FromRewards):
    """Envelope of ``round.refused``."""

    type: Literal["prizewire.round.refused.v1"] = "prizewire.round.refused.v1"
    data: RoundRefused


class RoundDisownedEvent(FromRewards):
    """Envelope of ``round.disowned``."""

    type: Literal["prizewire.round.disowned.v1"] = "prizewire.round.disowned.v1"
    data: RoundDisowned


RewardsEvent = Annotated[
    CampaignCreatedEvent
    | CampaignStateChangedEvent
    | CampaignFundedEvent
    | PoolLowEvent
    | PoolExhaustedEvent
    | RewardAllocatedEvent
    | RewardReleasedEvent
    | CampaignWithdrawnEvent
    | RewardHeldEvent
    | RewardExpiredEvent
    | RewardReversedEvent
    | RoundRefusedEvent
    | RoundDisownedEvent
    | ClaimOpenedEvent
    | ClaimHeldEvent
    | ClaimApprovedEvent
    | ClaimRejectedEvent
    | ClaimExpiredEvent
    | ReceivableOpenedEvent
    | ReceivableRecoveredEvent
    | ReceivableRestoredEvent
    | ReceivableWrittenOffEvent
    | TopupCreditedEvent
    | TopupReversedEvent
    | EntryPaidEvent
    | EntryRefusedEvent
    | EntryRefundedEvent
    | EntryEarnedEvent
    | EntryClosedEvent
    | PayoutRequestedEvent
    | PayoutCancelRequestedEvent
    | PayoutIntentRenewedEvent
    | PayoutRetryRefusedEvent,
    Field(discriminator="type"),
]
