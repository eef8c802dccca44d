"""Rounds as people and other services read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSums:
    """What is booked of a round: its head as it stands, and number and sum of its prizes that were not taken back."""

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
    """The head of a booked round as it stands, and when it last changed."""

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
class StagedSeen:
    """What waits to be whole or worked on: ``late`` settlements with what is known of each, the age of the oldest part
    in seconds, and the steps of work on large rounds.
    """

    late: Sequence[Mapping[str, str]]
    oldest_s: float
    work: int
