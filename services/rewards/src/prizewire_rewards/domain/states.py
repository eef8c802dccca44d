"""State machines as data: every edge with its reason. The database holds a literal copy and refuses the rest."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from prizewire_rewards.domain.errors import IllegalTransition


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
    BOOKING = "booking"
    """A large round whose lines are being booked, matured, corrected or given back, a chunk at a time."""
    FINAL = "final"
    """Prizes are credited or claimable, fees taken."""
    VOIDED = "voided"
    """It does not count: what it took is back in the pool."""


class RewardState(StrEnum):
    """Where one prize's money stands; the values are those on the wire."""

    UNFUNDED = "unfunded"
    PENDING = "pending"
    HELD = "held"
    """Its money stays reserved until an operator has decided."""
    CLAIMABLE = "claimable"
    CREDITED = "credited"
    REVERSED = "reversed"
    """A correction or a void took the whole of it back."""
    EXPIRED = "expired"
    """It was not claimed in time; its money is back in the pool."""
    REJECTED = "rejected"
    """An operator refused it; its money is back in the pool."""


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

ROUND_START: Final = frozenset(
    {RoundState.UNFUNDED, RoundState.RESERVED, RoundState.BOOKING, RoundState.FINAL}
)
ROUND_EDGES: Final[Mapping[tuple[RoundState, RoundState], str]] = {
    (RoundState.UNFUNDED, RoundState.RESERVED): "money came, the dispute window is open",
    (RoundState.UNFUNDED, RoundState.FINAL): "money came, the dispute window has passed",
    (RoundState.RESERVED, RoundState.FINAL): "the dispute window has passed",
    (
        RoundState.UNFUNDED,
        RoundState.BOOKING,
    ): "money came, and its many lines are booked one chunk after the other",
    (RoundState.UNFUNDED, RoundState.VOIDED): "it does not count; it held nothing",
    (RoundState.RESERVED, RoundState.VOIDED): "it does not count; everything goes back to the pool",
    (RoundState.RESERVED, RoundState.BOOKING): "its many lines mature, change or go back in chunks",
    (
        RoundState.FINAL,
        RoundState.BOOKING,
    ): "a late correction changes its many lines in chunks, or a disownment takes them back",
    (RoundState.FINAL, RoundState.VOIDED): "two admins disowned it; everything goes back to the pool",
    (RoundState.BOOKING, RoundState.RESERVED): "the last chunk is booked, the dispute window is open",
    (RoundState.BOOKING, RoundState.FINAL): "the last chunk is booked, the dispute window has passed",
    (RoundState.BOOKING, RoundState.VOIDED): "the last chunk went back",
}

REWARD_START: Final = frozenset(
    {
        RewardState.UNFUNDED,
        RewardState.PENDING,
        RewardState.HELD,
        RewardState.CLAIMABLE,
        RewardState.CREDITED,
    }
)
REWARD_EDGES: Final[Mapping[tuple[RewardState, RewardState], str]] = {
    (RewardState.UNFUNDED, RewardState.PENDING): "its round was funded",
    (RewardState.UNFUNDED, RewardState.CREDITED): "its round was funded and is final",
    (RewardState.PENDING, RewardState.CREDITED): "its round is final",
    (RewardState.UNFUNDED, RewardState.HELD): "its round was funded, and a rule keeps it back",
    (
        RewardState.UNFUNDED,
        RewardState.CLAIMABLE,
    ): "its round was funded and is final, and it must be claimed",
    (RewardState.UNFUNDED, RewardState.REVERSED): "a correction or a void took it back before it was funded",
    (RewardState.PENDING, RewardState.CLAIMABLE): "its round is final, and it must be claimed",
    (RewardState.PENDING, RewardState.REVERSED): "a correction or a void took it back",
    (RewardState.HELD, RewardState.PENDING): "released inside the dispute window",
    (RewardState.HELD, RewardState.CREDITED): "released",
    (RewardState.HELD, RewardState.CLAIMABLE): "released, and it must be claimed",
    (
        RewardState.HELD,
        RewardState.REJECTED,
    ): "an operator refused it, or the campaign's rule did at the deadline",
    (RewardState.HELD, RewardState.REVERSED): "a correction or a void took it back",
    (RewardState.CLAIMABLE, RewardState.CREDITED): "claimed, and the risk rules or an operator agreed",
    (RewardState.CLAIMABLE, RewardState.EXPIRED): "not claimed in time",
    (RewardState.CLAIMABLE, RewardState.REJECTED): "the claim was refused",
    (RewardState.CLAIMABLE, RewardState.REVERSED): "a correction or a disownment took it back",
    (RewardState.CREDITED, RewardState.REVERSED): "a late correction or a disownment took it back",
    (
        RewardState.REVERSED,
        RewardState.UNFUNDED,
    ): "a further correction gives it again, and the pool is short",
    (RewardState.REVERSED, RewardState.PENDING): "a further correction gives it again",
    (RewardState.REVERSED, RewardState.HELD): "a further correction gives it again, and a rule keeps it back",
    (RewardState.REVERSED, RewardState.CLAIMABLE): "a further correction gives it again",
    (RewardState.REVERSED, RewardState.CREDITED): "a further correction gives it again",
}

BOOKED_REWARDS: Final = frozenset(
    {RewardState.PENDING, RewardState.HELD, RewardState.CLAIMABLE, RewardState.CREDITED}
)
"""A prize in one of these has its money, but for what it is short of."""
GONE_REWARDS: Final = frozenset({RewardState.REVERSED, RewardState.EXPIRED, RewardState.REJECTED})
"""A prize in one of these has no money. What expired or was rejected stays so, whatever a correction says."""

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

State = TypeVar("State", bound=StrEnum)


def step(*, edges: Mapping[tuple[State, State], str], was: State, to: State) -> State:
    """``to``, if the machine allows it.

    Raises:
        IllegalTransition: there is no such edge.
    """
    if (was, to) not in edges:
        raise IllegalTransition(was=was, to=to)
    return to
