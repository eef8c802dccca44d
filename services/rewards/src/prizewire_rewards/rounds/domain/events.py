"""Events about refused and disowned rounds."""

from dataclasses import dataclass

from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.prizes.domain.model import RefusedRound
from prizewire_rewards.rounds.domain.disownments import Disownment


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRefused(Event):
    """A settlement version of a round will never be booked."""

    refused: RefusedRound


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundDisowned(Event):
    """Two admins disowned a round, and its money was taken back."""

    disownment: Disownment
    correlation_id: str
