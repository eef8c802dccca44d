"""State machines of rounds and prizes, with a reason for each edge. The database has a literal copy and refuses all others."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class RoundState(StrEnum):
    """The state of a settled round's money."""

    UNFUNDED = "unfunded"
    """Nothing was taken from the pool: it could not cover the round, or earlier rounds wait."""
    RESERVED = "reserved"
    """Prizes are pending, fees still reserved."""
    BOOKING = "booking"
    """A large round whose lines are being booked, matured, corrected or given back, a chunk at a time."""
    FINAL = "final"
    """Prizes are credited or claimable, fees taken."""
    VOIDED = "voided"
    """The match does not count: all money of the round is back in the pool."""


class RewardState(StrEnum):
    """The state of one prize's money; the values are those in events and answers."""

    UNFUNDED = "unfunded"
    PENDING = "pending"
    HELD = "held"
    """Its money stays in the reserve until an operator decides."""
    CLAIMABLE = "claimable"
    CREDITED = "credited"
    REVERSED = "reversed"
    """A correction or a void took it back completely."""
    EXPIRED = "expired"
    """It was not claimed in time; its money is back in the pool."""
    REJECTED = "rejected"
    """An operator refused it; its money is back in the pool."""


ROUND_START: Final = frozenset(
    {RoundState.UNFUNDED, RoundState.RESERVED, RoundState.BOOKING, RoundState.FINAL}
)


ROUND_EDGES: Final[Mapping[tuple[RoundState, RoundState], str]] = {
    (RoundState.UNFUNDED, RoundState.RESERVED): "the pool covers it, and the dispute window is open",
    (RoundState.UNFUNDED, RoundState.FINAL): "the pool covers it, and the dispute window has passed",
    (RoundState.RESERVED, RoundState.FINAL): "the dispute window has passed",
    (
        RoundState.UNFUNDED,
        RoundState.BOOKING,
    ): "the pool covers it, and its lines are booked in chunks",
    (RoundState.UNFUNDED, RoundState.VOIDED): "the match does not count; the round had no money",
    (RoundState.RESERVED, RoundState.VOIDED): "the match does not count; its money goes back to the pool",
    (RoundState.RESERVED, RoundState.BOOKING): "its lines mature, change or are taken back in chunks",
    (
        RoundState.FINAL,
        RoundState.BOOKING,
    ): "a late correction changes its lines in chunks, or a disownment takes them back",
    (RoundState.FINAL, RoundState.VOIDED): "two admins disowned it; its money goes back to the pool",
    (RoundState.BOOKING, RoundState.RESERVED): "the last chunk is booked, and the dispute window is open",
    (RoundState.BOOKING, RoundState.FINAL): "the last chunk is booked, and the dispute window has passed",
    (RoundState.BOOKING, RoundState.VOIDED): "the last chunk is taken back",
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
    (RewardState.UNFUNDED, RewardState.HELD): "its round was funded, and a rule holds it",
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
    ): "an operator refused it",
    (RewardState.HELD, RewardState.REVERSED): "a correction or a void took it back",
    (RewardState.CLAIMABLE, RewardState.CREDITED): "claimed, and approved by the risk rules or an operator",
    (RewardState.CLAIMABLE, RewardState.EXPIRED): "not claimed in time",
    (RewardState.CLAIMABLE, RewardState.REJECTED): "the claim was refused",
    (RewardState.CLAIMABLE, RewardState.REVERSED): "a correction or a disownment took it back",
    (RewardState.CREDITED, RewardState.REVERSED): "a late correction or a disownment took it back",
    (
        RewardState.REVERSED,
        RewardState.UNFUNDED,
    ): "a later correction gives it again, and the pool does not cover it",
    (RewardState.REVERSED, RewardState.PENDING): "a later correction gives it again",
    (RewardState.REVERSED, RewardState.HELD): "a later correction gives it again, and a rule holds it",
    (RewardState.REVERSED, RewardState.CLAIMABLE): "a later correction gives it again",
    (RewardState.REVERSED, RewardState.CREDITED): "a later correction gives it again",
}


BOOKED_REWARDS: Final = frozenset(
    {RewardState.PENDING, RewardState.HELD, RewardState.CLAIMABLE, RewardState.CREDITED}
)
"""A prize in one of these states has its money, except the amount that it is short of."""


ENDED_REWARDS: Final = frozenset({RewardState.REVERSED, RewardState.EXPIRED, RewardState.REJECTED})
"""A prize in one of these states has no money. An expired or rejected prize stays so, also after a correction."""
