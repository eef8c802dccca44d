"""Events about prizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.prizes.domain.model import Reward, Settlement


class RewardEventKind(StrEnum):
    """What an event reports about prizes; the values are those in the event's type."""

    ALLOCATED = "allocated"
    """A settled part, or the changed lines of a corrected one."""
    RELEASED = "released"
    """Prizes were funded, became final, or were released by an operator."""
    HELD = "held"
    """A rule holds the prizes; the note of each names the rule."""
    REVERSED = "reversed"
    """A correction, a void or an operator's refusal took the stated amount back from each prize."""
    EXPIRED = "expired"
    """The prizes were not claimed in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardsMoved(Event):
    """Prizes of one part of a round changed."""

    settlement: Settlement
    part: int
    rewards: Sequence[Reward]
    what: RewardEventKind
    version: int
    cause: str | None = None
