"""Rounds as answers and jobs show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSums:
    """The booked sums of a round: its present head, and number and sum of its prizes that were not reversed."""

    round_id: UUID
    settlement_version: int
    state: str
    final: bool
    campaign: UUID
    asset: str
    gross: int
    prizes: int
    prizes_total: int
    settled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedRound:
    """The present head of a booked round, and the time of its last change."""

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
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedParts:
    """Incomplete settlements and open work: ``late`` settlements with log fields of each, the age of the oldest staged
    part in seconds, and the number of tasks on large rounds.
    """

    late: Sequence[Mapping[str, str]]
    oldest_s: float
    work: int
