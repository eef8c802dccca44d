"""What became of prizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.prizes.domain.model import Reward, Settlement


class RewardEventKind(StrEnum):
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
class RewardsMoved(Event):
    """Something became of prizes of one part of a round."""

    settlement: Settlement
    part: int
    rewards: Sequence[Reward]
    what: RewardEventKind
    version: int
    cause: str | None = None
