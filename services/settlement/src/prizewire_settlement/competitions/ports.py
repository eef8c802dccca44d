"""What the use cases of competitions need from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_settlement.competitions.domain.model import Campaign, Competition, Rule


class Campaigns(Protocol):
    """What is known of rewards' campaigns, inside one transaction."""

    async def campaign(self, campaign_id: UUID) -> Campaign | None:
        """One campaign."""

    async def keep(self, campaigns: Sequence[Campaign]) -> None:
        """Store campaigns, each at most once, unless a newer version of it is there."""


class CompetitionStore(Protocol):
    """Competitions as people manage them, inside one transaction."""

    async def create(self, competition: Competition) -> bool:
        """Store a new competition with its first rule; False where the id is taken."""

    async def lock(self, competition_id: str) -> Competition | None:
        """A competition, locked against other changes."""

    async def replace(self, competition: Competition, *, by: str) -> None:
        """Store a further rule version, written ``by`` somebody, and the new name."""


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """The stores of one transaction over competitions. What they write commits together."""

    competitions: CompetitionStore
    campaigns: Campaigns


class CompetitionQueries(Protocol):
    """What people read of competitions, inside one transaction."""

    async def competition(self, competition_id: str) -> Competition | None:
        """One competition with its rule in force."""

    async def competition_page(self, *, before: tuple[datetime, str] | None, limit: int) -> list[Competition]:
        """Competitions, newest first, those made ``before`` this (time, id)."""

    async def rule(self, competition_id: str, version: int) -> Rule | None:
        """One rule version."""
