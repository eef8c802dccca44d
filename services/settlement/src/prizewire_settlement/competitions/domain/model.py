"""Competitions, their rules, and the campaigns that pay. Amounts are minor units."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from prizewire_money import Asset


class CampaignState(StrEnum):
    """The state of a campaign of rewards."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    EXHAUSTED = "exhausted"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What settlement knows of a campaign by rewards' events: the code of its asset, its state, and the version of the
    newest event.
    """

    id: UUID
    asset: str
    state: CampaignState
    version: int


class TiePolicy(StrEnum):
    """What happens to equal results that reach a paid place."""

    SPLIT = "split"
    REFUSE = "refuse"
    BREAK = "break"


class Unclaimed(StrEnum):
    """Where the prizes of places go that no player took: back to the pool, or to the players who were placed."""

    POOL = "pool"
    SPREAD = "spread"


class Overflow(StrEnum):
    """What happens when amounts per point come to more than the places leave of the net prize: the result is refused,
    or the points share what is left, pro rata to what they would have earned.
    """

    REFUSE = "refuse"
    PRO_RATA = "pro_rata"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKey:
    """An Ed25519 key (64 hex digits) that may sign a source's events dated in [not_before, not_after)."""

    keyid: str
    public_key: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source that may report matches. Without keys its events need no signature."""

    source: str
    keys: tuple[SourceKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRange:
    """What the places ``first`` to ``last`` earn: either ``percent_total`` of the net prize for all of them
    together (in millionths of a percent), or ``amount_each``.
    """

    first: int
    last: int
    percent_total: int | None = None
    amount_each: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerPoint:
    """``amount`` for every whole ``per`` (millionths) of the named score, whatever the place."""

    score: str
    per: int
    amount: int
    overflow: Overflow = Overflow.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class RankBy:
    """By the stated place (``score`` is None), or by a named score."""

    score: str | None = None
    descending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFee:
    """What entering a match costs each player, above zero."""

    asset: Asset
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TieBreak:
    """The named score that ranks equal results. Players who are equal in this score too share."""

    score: str
    descending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One version of a competition's rule; it never changes. ``tie_break`` goes with the policy ``break`` alone;
    ``writers`` are all who put this version or an earlier one into force, each once and sorted; empty for a rule that is
    not stored.
    """

    competition: str
    version: int
    campaign: UUID
    asset: Asset
    gross: int
    platform_bps: int
    organizer_bps: int
    organizer_player: str | None
    template: str | None
    places: tuple[PlaceRange, ...]
    per_point: PerPoint | None
    ties: TiePolicy
    tie_break: TieBreak | None
    unclaimed: Unclaimed
    rank_by: RankBy
    sources: tuple[Source, ...]
    dispute_window: timedelta
    entry_fee: EntryFee | None = None
    writers: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """By name alone: a table of places may be long, and rules are looked up for every match."""
        return hash((self.competition, self.version))


class SourceChange(NamedTuple):
    """A rule version whose sources or their keys are not those of the version before it, and who wrote it."""

    version: int
    sources: tuple[Source, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Competition:
    """A competition and its rule in force."""

    id: str
    name: str
    rule: Rule
    created_by: str
    created_at: datetime
    updated_at: datetime
