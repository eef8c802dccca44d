"""Commands and events of rounds, and what listings show of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_rewards.ledger.domain.records import Event
from prizewire_rewards.prizes.domain.model import Line, RefusedRound, Settlement
from prizewire_rewards.rounds.domain.disownments import Disownment


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRound:
    """Book a settled round, or part ``part`` of one."""

    settlement: Settlement
    part: int
    lines: tuple[Line, ...]
    cause: str

    @property
    def round_id(self) -> UUID:
        """The settled round."""
        return self.settlement.round_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectRound(SettleRound):
    """Replace all lines of a settled round by corrected ones, or bring part ``part`` of them."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRound:
    """Void a round: its match does not count."""

    round_id: UUID
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeRound:
    """Finalize a settlement version: its dispute window has passed."""

    round_id: UUID
    settlement_version: int
    correlation_id: str
    cause: str


RoundCommand = SettleRound | CorrectRound | VoidRound | FinalizeRound


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRefused(Event):
    """A settlement version of a round will never be booked."""

    refused: RefusedRound


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundDisowned(Event):
    """Two admins disowned a round, and its money was taken back."""

    disownment: Disownment
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSums:
    """The booked sums of a round: its present head, and number and sum of its prizes that were not reversed. ``waits_for`` is what
    the round waits for from its pool (minor units).
    """

    round_id: UUID
    settlement_version: int
    state: str
    final: bool
    campaign: UUID
    asset: str
    gross: int
    waits_for: int
    prizes: int
    prizes_total: int
    settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedRound:
    """The present head of a booked round, and the time of its last change. ``digest`` is the one that settlement sent,
    ``lines_digest`` is computed from the prizes, None while work on them is left. ``taken_back`` is what corrections took from
    players or made a debt.
    """

    round_id: UUID
    settlement_version: int
    state: str
    final: bool
    campaign: UUID
    asset: str
    gross: int
    platform_fee: int
    organizer_fee: int
    organizer_player: str | None
    unclaimed: int
    digest: str
    lines_digest: str | None
    taken_back: int
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedParts:
    """Incomplete settlements and open work: ``late`` settlements with log fields of each, the age of the oldest staged
    part in seconds, and the number of tasks on large rounds.
    """

    late: Sequence[Mapping[str, str]]
    oldest_s: float
    work: int
