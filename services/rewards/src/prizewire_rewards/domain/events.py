"""What rewards tells the world, in the domain's words; the messages adapter puts it into contracts.

``version`` counts the events of the subject; ``cause`` is the id of what brought the event about, if an event did.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from uuid import UUID

from prizewire_rewards.domain.claims import Claim
from prizewire_rewards.domain.disownments import Disownment
from prizewire_rewards.domain.entries import Entry
from prizewire_rewards.domain.model import Campaign, Payout, Receivable, RefusedRound, Reward, Settlement
from prizewire_rewards.domain.topups import Topup


class Told(StrEnum):
    """What is told of prizes; the values are those in the event's type."""

    ALLOCATED = "allocated"
    """A settled part, or the changed lines of a corrected one."""
    RELEASED = "released"
    """They moved on: funded, final, or let go by an operator."""
    HELD = "held"
    """A rule keeps them back; their note says which."""
    REVERSED = "reversed"
    """So much was taken back of each, by a correction, a void or an operator's refusal."""
    EXPIRED = "expired"
    """They were not claimed in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignChanged:
    """A campaign was made (version 1) or changed its state."""

    campaign: Campaign
    actor: str
    created: bool
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFunded:
    """Money came into a pool."""

    campaign: Campaign
    amount: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolExhausted:
    """A round asked for more than the pool holds."""

    campaign: Campaign
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignWithdrawn:
    """Money that no round had reserved left a pool."""

    campaign: Campaign
    amount: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLow:
    """A pool holds less than its low-water mark."""

    campaign: Campaign
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMoved:
    """A claim was opened or reached another state. ``code`` is for everybody: it never says what a rule found."""

    claim: Claim
    actor: str
    code: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardsMoved:
    """Something became of prizes of one part of a round."""

    settlement: Settlement
    part: int
    rewards: Sequence[Reward]
    what: Told
    version: int
    cause: str | None = None


class OwedStep(StrEnum):
    """What became of a receivable; the values are those in the event's type."""

    OPENED = "opened"
    RECOVERED = "recovered"
    """Taken from a credit, or owed no more because its reason is gone."""
    WRITTEN_OFF = "written_off"
    RESTORED = "restored"
    """Was given up, and is no loss any more because its reason is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivableChanged:
    """What became of ``amount`` of a debt."""

    receivable: Receivable
    what: OwedStep
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutAsked:
    """A payout is requested, with its signed intent."""

    payout: Payout
    reward_ids: tuple[UUID, ...] = ()
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCancelAsked:
    """Somebody wants a payout stopped: its player, or rewards itself, as ``code`` says."""

    payout: Payout
    by: str
    code: Literal["cancelled_by_player", "winnings_taken_back"]
    reason: str
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRenewed:
    """The same payout on the same terms, with a later expiry."""

    payout: Payout
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryMoved:
    """An entry came to the state it is in."""

    entry: Entry
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupMoved:
    """A top-up was credited or, when ``reversed``, taken back. ``reference`` is the provider's id of the payment,
    refund or dispute; ``owed`` is what was spent already.
    """

    topup: Topup
    amount: int
    owed: int
    reference: str
    reversed: bool
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRefused:
    """A settlement version of a round will never be booked."""

    refused: RefusedRound


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundDisowned:
    """Two admins disowned a round, and it was taken back."""

    disownment: Disownment
    correlation_id: str


Event = (
    CampaignChanged
    | CampaignFunded
    | CampaignWithdrawn
    | PoolExhausted
    | PoolLow
    | ClaimMoved
    | ReceivableChanged
    | RewardsMoved
    | RoundRefused
    | RoundDisowned
    | PayoutAsked
    | PayoutCancelAsked
    | IntentRenewed
    | EntryMoved
    | TopupMoved
)
