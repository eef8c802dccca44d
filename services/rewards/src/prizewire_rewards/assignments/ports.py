"""Payee assignments, as the handlers need them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.assignments.domain import PayeeAssignment


class Assignments(Protocol):
    """Payee assignments in one transaction."""

    async def in_force(self, players: Iterable[str], *, now: datetime) -> Mapping[str, PayeeAssignment]:
        """The assignment that is in force now of each of these players who has one. No assignment of them changes until the
        transaction ends.
        """
        ...

    async def get(self, identifier: UUID) -> PayeeAssignment | None:
        """One assignment, not locked; None where it does not exist."""
        ...

    async def lock_persons(self, persons: Iterable[str]) -> None:
        """Lock the assignments of these players and payees against other changes and against requests of payouts, until the
        transaction ends.
        """
        ...

    async def open_of(self, player: str) -> list[PayeeAssignment]:
        """The proposed assignment of a player and the one in force, as they are stored. The caller holds the player's lock."""
        ...

    async def chained(self, *, player: str, payee: str, now: datetime) -> PayeeAssignment | None:
        """An assignment in force of which ``payee`` is the player, or ``player`` the payee. The caller holds their locks."""
        ...

    async def last_request(self, player: str) -> datetime | None:
        """When the player's last payout was requested. The caller holds the player's lock."""
        ...

    async def add(self, assignment: PayeeAssignment) -> None:
        """Store a new assignment."""
        ...

    async def save(self, assignment: PayeeAssignment) -> None:
        """Store the state and the decisions of an assignment. The caller holds its locks."""
        ...


class AssignmentPorts(Protocol):
    """The ports that handlers of assignments use in one transaction."""

    assignments: Assignments
