"""What settlement tells the others. Each becomes one signed event of its round."""

from dataclasses import dataclass
from datetime import datetime

from prizewire_settlement.domain.model import Line, Round, Settlement
from prizewire_settlement.domain.states import RoundState

__all__ = ["RoundEvent", "RoundFinalized", "RoundProgressed", "RoundSettled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEvent:
    """``version`` counts the round's events from 1 without gaps; ``caused_by`` is the id of the event behind it."""

    round: Round
    version: int
    caused_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundProgressed(RoundEvent):
    """A game server reported that the match opened or closed, at ``at``."""

    state: RoundState
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSettled(RoundEvent):
    """Part ``part`` of a settlement, with its share of the lines."""

    settlement: Settlement
    part: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFinalized(RoundEvent):
    """The dispute window has passed."""

    settlement_version: int
