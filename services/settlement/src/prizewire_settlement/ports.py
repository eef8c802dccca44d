"""What the use cases need from outside."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_settlement.domain.events import RoundEvent
from prizewire_settlement.domain.model import (
    Competition,
    Line,
    ResultPart,
    Round,
    Rule,
    Settlement,
    Transition,
)
from prizewire_settlement.domain.states import RoundState

__all__ = ["Changes", "CompetitionStore", "EventSink", "Queries", "RoundFilter", "RoundRecord", "RoundStore"]


@dataclass(slots=True)
class Changes:
    """What a batch does to rounds. ``born`` are the ids in ``rounds`` that had no row before."""

    rounds: dict[UUID, Round] = field(default_factory=dict)
    born: set[UUID] = field(default_factory=set)
    transitions: list[Transition] = field(default_factory=list)
    parts: dict[tuple[UUID, int, int], ResultPart] = field(default_factory=dict)
    settlements: list[Settlement] = field(default_factory=list)


class RoundStore(Protocol):
    """Rounds and what belongs to them, inside one transaction. Every call is a fixed number of statements."""

    async def competitions(self, ids: Collection[str]) -> dict[str, Competition]:
        """Those that exist, with their rules in force."""

    async def rules(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Rule]:
        """Rule versions by (competition, version)."""

    async def rounds(self, ids: Collection[UUID]) -> dict[UUID, Round]:
        """Those that exist, locked in the order of their ids until the transaction ends."""

    async def parts(self, ids: Collection[UUID]) -> dict[UUID, dict[tuple[int, int], ResultPart]]:
        """Result parts of rounds, by (result_version, part). Parts of settled rounds come without their results."""

    async def due(self, *, now: datetime, limit: int) -> list[Round]:
        """Settled rounds whose dispute window has passed, oldest first, locked; others' locks are skipped.

        A round about which a correction or a void waits to be applied is not due: an open dispute holds finality.
        """

    async def save(self, changes: Changes) -> None:
        """Write everything. A round that another transaction began at the same time fails the transaction as a
        serialization failure: the whole batch is then decided again.
        """


class CompetitionStore(Protocol):
    """Competitions as people manage them, inside one transaction."""

    async def create(self, competition: Competition) -> bool:
        """Store a new competition with its first rule; False where the id is taken."""

    async def lock(self, competition_id: str) -> Competition | None:
        """A competition, locked against other changes."""

    async def replace(self, competition: Competition, *, by: str) -> None:
        """Store a further rule version, written ``by`` somebody, and the new name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFilter:
    """Which rounds to list; None asks for all."""

    competition: str | None = None
    state: RoundState | None = None
    match_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """A round with its history. ``settlements`` come with their first lines; ``lines_total`` counts all of them
    by settlement version. ``parts`` are the result parts that are here, oldest first.
    """

    round: Round
    transitions: tuple[Transition, ...]
    parts: tuple[ResultPart, ...]
    settlements: tuple[Settlement, ...]
    lines_total: dict[int, int]


class Queries(Protocol):
    """What people look at, inside one transaction."""

    async def competition(self, competition_id: str) -> Competition | None:
        """One competition with its rule in force."""

    async def competition_page(self, *, after: str, limit: int) -> list[Competition]:
        """Competitions in the order of their ids, those past ``after``."""

    async def rule(self, competition_id: str, version: int) -> Rule | None:
        """One rule version."""

    async def round_page(
        self, wanted: RoundFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Round]:
        """Rounds, newest first."""

    async def round(self, round_id: UUID) -> RoundRecord | None:
        """One round with its history."""

    async def line_page(self, round_id: UUID, *, after: int, limit: int) -> tuple[Rule, list[Line]] | None:
        """At most ``limit`` lines of a round's newest settlement, those past the line ``after`` in their order, and the
        rule they were worked out under; None without a settlement. Nothing else of the round is read.
        """

    async def rounds_of(self, correlation_id: str) -> list[RoundRecord]:
        """Rounds bound to a correlation id, oldest first."""


class EventSink(Protocol):
    """Where events go, in the same transaction as the change behind them."""

    async def publish(self, events: Sequence[RoundEvent]) -> None:
        """Take events, in this order."""
