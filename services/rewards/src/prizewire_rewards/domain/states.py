"""State machines as data: every edge with its reason. The database holds a literal copy and refuses the rest."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from prizewire_rewards.domain.errors import IllegalTransition

__all__ = [
    "ACCEPTS_PRIZES",
    "CAMPAIGN_EDGES",
    "CAMPAIGN_START",
    "PAYOUT_EDGES",
    "PAYOUT_FINAL",
    "PAYOUT_START",
    "REWARD_EDGES",
    "REWARD_START",
    "ROUND_EDGES",
    "ROUND_START",
    "CampaignState",
    "PayoutState",
    "RewardState",
    "RoundState",
    "step",
]


class CampaignState(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    EXHAUSTED = "exhausted"
    ENDED = "ended"


class RoundState(StrEnum):
    """Where a settled round's money stands."""

    UNFUNDED = "unfunded"
    """Nothing was taken: the pool could not cover it, or earlier rounds wait."""
    RESERVED = "reserved"
    """Prizes are pending, fees still reserved."""
    FINAL = "final"
    """Prizes are credited, fees taken."""


class RewardState(StrEnum):
    """Where one prize's money stands; the values are those on the wire."""

    UNFUNDED = "unfunded"
    PENDING = "pending"
    CREDITED = "credited"


class PayoutState(StrEnum):
    """What rewards knows of a payout that it requested."""

    REQUESTED = "requested"
    CANCEL_REQUESTED = "cancel_requested"
    PAID = "paid"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    RETURNED = "returned"


CAMPAIGN_START: Final = frozenset({CampaignState.DRAFT})
CAMPAIGN_EDGES: Final[Mapping[tuple[CampaignState, CampaignState], str]] = {
    (CampaignState.DRAFT, CampaignState.ACTIVE): "activated",
    (CampaignState.DRAFT, CampaignState.ENDED): "given up before it began",
    (CampaignState.ACTIVE, CampaignState.PAUSED): "paused",
    (CampaignState.ACTIVE, CampaignState.EXHAUSTED): "a round was more than the pool held",
    (CampaignState.ACTIVE, CampaignState.ENDED): "ended",
    (CampaignState.PAUSED, CampaignState.ACTIVE): "activated again",
    (CampaignState.PAUSED, CampaignState.ENDED): "ended",
    (CampaignState.EXHAUSTED, CampaignState.ACTIVE): "every waiting round was paid",
    (CampaignState.EXHAUSTED, CampaignState.PAUSED): "paused",
}
"""An exhausted campaign owes prizes, so it cannot end before they are paid."""

ACCEPTS_PRIZES: Final = frozenset({CampaignState.ACTIVE, CampaignState.EXHAUSTED})
"""Where a settled round is booked, if the pool covers it. A draft or a paused campaign lets rounds wait."""

ROUND_START: Final = frozenset({RoundState.UNFUNDED, RoundState.RESERVED, RoundState.FINAL})
ROUND_EDGES: Final[Mapping[tuple[RoundState, RoundState], str]] = {
    (RoundState.UNFUNDED, RoundState.RESERVED): "money came, the dispute window is open",
    (RoundState.UNFUNDED, RoundState.FINAL): "money came, the dispute window has passed",
    (RoundState.RESERVED, RoundState.FINAL): "the dispute window has passed",
}

REWARD_START: Final = frozenset({RewardState.UNFUNDED, RewardState.PENDING, RewardState.CREDITED})
REWARD_EDGES: Final[Mapping[tuple[RewardState, RewardState], str]] = {
    (RewardState.UNFUNDED, RewardState.PENDING): "its round was funded",
    (RewardState.UNFUNDED, RewardState.CREDITED): "its round was funded and is final",
    (RewardState.PENDING, RewardState.CREDITED): "its round is final",
}

PAYOUT_START: Final = frozenset({PayoutState.REQUESTED})
PAYOUT_EDGES: Final[Mapping[tuple[PayoutState, PayoutState], str]] = {
    (PayoutState.REQUESTED, PayoutState.CANCEL_REQUESTED): "the player asked to cancel",
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

State = TypeVar("State", bound=StrEnum)


def step(*, edges: Mapping[tuple[State, State], str], was: State, to: State) -> State:
    """``to``, if the machine allows it.

    Raises:
        IllegalTransition: there is no such edge.
    """
    if (was, to) not in edges:
        raise IllegalTransition(was=was, to=to)
    return to
