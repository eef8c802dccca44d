"""What rewards tells the world, in the domain's words; the messages adapter puts it into contracts.

``version`` counts the events of the subject; ``cause`` is the id of what brought the event about, if an event did.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prizewire_rewards.domain.entries import Entry
from prizewire_rewards.domain.model import Campaign, Payout, Reward, Settlement
from prizewire_rewards.domain.topups import Topup

__all__ = [
    "CampaignChanged",
    "CampaignFunded",
    "EntryMoved",
    "Event",
    "IntentRenewed",
    "PayoutAsked",
    "PayoutCancelAsked",
    "PoolExhausted",
    "RewardsMoved",
    "TopupMoved",
]


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
class RewardsMoved:
    """The prizes of one part of a round were allocated, or, when ``released``, moved on."""

    settlement: Settlement
    part: int
    rewards: Sequence[Reward]
    released: bool
    version: int
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutAsked:
    """A payout is requested, with its signed intent."""

    payout: Payout
    reward_ids: tuple[UUID, ...] = ()
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCancelAsked:
    """Somebody wants a payout stopped."""

    payout: Payout
    by: str
    reason: str


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


Event = (
    CampaignChanged
    | CampaignFunded
    | PoolExhausted
    | RewardsMoved
    | PayoutAsked
    | PayoutCancelAsked
    | IntentRenewed
    | EntryMoved
    | TopupMoved
)
