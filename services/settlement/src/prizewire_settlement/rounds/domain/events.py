"""Domain events of rounds. Each is published as one signed event."""

from dataclasses import dataclass
from datetime import datetime

from prizewire_settlement.competitions.domain.model import EntryFee
from prizewire_settlement.prizes.domain import Line
from prizewire_settlement.rounds.domain.model import Entry, Round, Settlement
from prizewire_settlement.rounds.domain.states import RoundState


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEvent:
    """``version`` counts the round's events from 1 without gaps; ``caused_by`` is the id of the event that caused it."""

    round: Round
    version: int
    caused_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundProgressed(RoundEvent):
    """The match opened or closed, at ``at``; ``entry_fee`` is what its rule asks of each player."""

    state: RoundState
    at: datetime
    entry_fee: EntryFee | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEntered(RoundEvent):
    """A player enters the round, and owes its fee; ``at`` is the game server's time of it."""

    entry: Entry
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSettled(RoundEvent):
    """Part ``part`` of a settlement, with its share of the lines."""

    settlement: Settlement
    part: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCorrected(RoundSettled):
    """Part ``part`` of a settlement that supersedes the one before."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundVoided(RoundEvent):
    """The round does not count."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFinalized(RoundEvent):
    """The dispute window has passed."""

    settlement_version: int
