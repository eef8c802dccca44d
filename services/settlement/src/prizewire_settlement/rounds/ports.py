"""What the use cases of rounds need from outside, and what one transaction reads and writes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_money import Asset
from prizewire_settlement.competitions.domain.model import Competition, Rule, SourceChange
from prizewire_settlement.competitions.ports import Campaigns
from prizewire_settlement.prizes.domain import Line, PlayerResult
from prizewire_settlement.rounds.domain.changes import RoundChange
from prizewire_settlement.rounds.domain.model import (
    Disownment,
    Refusal,
    ResultPart,
    Round,
    RoundState,
    Settlement,
    Transition,
)


class UnitOfWork(Campaigns, Protocol):
    """Rounds and what belongs to them, inside one transaction. Every call is a fixed number of statements."""

    async def competitions(self, ids: Collection[str]) -> dict[str, Competition]:
        """Those that exist, with their rules in force."""

    async def rules(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Rule]:
        """Rule versions by (competition, version)."""

    async def source_changes(
        self, wanted: Collection[tuple[str, int, int]]
    ) -> dict[str, tuple[SourceChange, ...]]:
        """Rule versions that changed the sources or their keys, in their order, by competition: those after the first
        number and up to the second of each (competition, after, up to). A competition stands once in ``wanted``.
        """

    async def rounds(self, ids: Collection[UUID]) -> dict[UUID, Round]:
        """Those that exist, locked in the order of their ids until the transaction ends."""

    async def parts(self, ids: Collection[UUID]) -> dict[UUID, dict[tuple[int, int], ResultPart]]:
        """The heads of the result parts of rounds, by (result_version, part): without results and documents, and ``proved``
        where they are as settlement wrote them.
        """

    async def results(self, heads: Collection[ResultPart]) -> dict[int, tuple[PlayerResult, ...]]:
        """The results of stored parts of one result, by part.

        Raises:
            ReportRefused: ``part_unproved`` where a head is not proved, or its document is not the one of its hash.
        """

    async def lines(self, round_id: UUID, settlement_version: int) -> tuple[Line, ...]:
        """All lines of one settlement, in their order."""

    async def entered(self, wanted: Collection[tuple[UUID, str]]) -> dict[UUID, set[str]]:
        """Which of these (round, player) have entered, by round."""

    async def due(self, *, now: datetime, limit: int) -> list[Round]:
        """Settled rounds whose dispute window has passed, oldest first, locked; others' locks are skipped.

        A round about which a correction waits to be applied, or of whose correction parts are missing, is not due: an
        open dispute holds finality. Nor is a refused round.
        """

    async def save(self, changes: Sequence[RoundChange], *, disownments: Sequence[Disownment] = ()) -> None:
        """Write all changes, and publish their events in their order. Nothing is written where nothing changed.

        A round that another transaction began at the same time fails the transaction as a serialization failure: the
        whole batch is then decided again. A round that was disowned before it had a row is stored as a disowned one;
        ``disownments`` may be of rounds without any report yet. Of each settlement the first refusal is kept, of each
        round the first disownment.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFilter:
    """Which rounds to list; None asks for all, ``incomplete`` for those that wait for parts of a result, ``refused`` for
    those whose settlement rewards refuses for good.
    """

    competition: str | None = None
    state: RoundState | None = None
    match_id: str | None = None
    incomplete: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """A round with its history. ``settlements`` come with their first lines; ``lines_total`` counts all of them
    by settlement version. ``parts`` are the heads of the result parts that are here, by version and part; ``refusals``
    are all that there ever were, by settlement version; ``disownment`` is None unless rewards disowned the round.
    """

    round: Round
    transitions: tuple[Transition, ...]
    parts: tuple[ResultPart, ...]
    settlements: tuple[Settlement, ...]
    lines_total: dict[int, int]
    refusals: tuple[Refusal, ...] = ()
    disownment: Disownment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomplete:
    """A round that waits for parts of a result: which version, how many of how many parts are here."""

    round: Round
    result_version: int
    here: int
    parts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRound:
    """A round that is final or void, since ``ended_at``, with its newest settlement; a correction of a final round ends it
    again. ``prizes`` is the sum of the lines.
    """

    round: Round
    ended_at: datetime
    campaign: UUID
    asset: Asset
    gross: int
    prizes: int
    lines_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTerms:
    """A round, and the entry fee of its rule: ``fee`` in minor units of ``asset``, both None where entering is free."""

    round_id: UUID
    state: RoundState
    asset: Asset | None
    fee: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledRound:
    """A round with the figures of its newest settlement. ``digest`` is that of its lines, as events carry it. ``lowered`` is
    the sum by which corrections lowered players' prizes, from each version to the next one.
    """

    round: Round
    campaign: UUID
    asset: Asset
    gross: int
    platform_fee: int
    organizer_fee: int
    organizer_player: str | None
    unclaimed: int
    digest: str
    lowered: int


class Queries(Protocol):
    """What people read, inside one transaction."""

    async def round_page(
        self, wanted: RoundFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Round]:
        """Rounds, newest first."""

    async def round(self, round_id: UUID) -> RoundRecord | None:
        """One round with its history, and the first lines of its newest settlement."""

    async def results_of(self, round_id: UUID, *, result_version: int, part: int) -> tuple[PlayerResult, ...]:
        """What stands in one part of a result; nothing where there is no such part."""

    async def incomplete(self, *, until: datetime, limit: int) -> list[Incomplete]:
        """Rounds that wait for parts of a result since ``until`` or longer, those that wait longest first."""

    async def incomplete_count(self, *, until: datetime) -> int:
        """How many rounds wait for parts of a result since ``until`` or longer."""

    async def ended_page(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[EndedRound]:
        """Settled rounds that ended at ``since`` or later and ``before`` this (time, id), the last one first; void ones
        too.
        """

    async def settled(self, ids: Sequence[UUID]) -> list[SettledRound]:
        """Those of the rounds that were settled, in whatever state they are, by id. The lines of one round at a time are
        in memory.
        """

    async def entry_terms(self, ids: Sequence[UUID]) -> list[EntryTerms]:
        """Those of the rounds that are known, in whatever state they are, by id."""

    async def open_counts(self, *, most: int) -> dict[RoundState, int]:
        """The number of rounds that have not ended by state, each counted up to ``most``."""
        ...

    async def refused_count(self) -> int:
        """How many rounds are refused."""

    async def line_page(self, round_id: UUID, *, after: int, limit: int) -> tuple[Rule, list[Line]] | None:
        """At most ``limit`` lines of a round's newest settlement, those past the line ``after`` in their order, and the
        rule they were worked out under; None without a settlement. Nothing else of the round is read.
        """

    async def newest_lines(self, round_id: UUID) -> tuple[int, Rule, list[Line]] | None:
        """The version of a round's newest settlement, the rule it was worked out under, and all its lines in their order:
        at most 100,000, read at once so that they are of one settlement. None without a settlement.
        """

    async def rounds_of(self, correlation_id: str) -> list[RoundRecord]:
        """Rounds bound to a correlation id, oldest first."""
