"""Disownments of rounds, as the handlers need them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.domain.disownments import Concern, Disownment, DisownmentState, TakenBack


class Disownments(Protocol):
    """Disownments in one transaction."""

    async def add(self, disownment: Disownment) -> bool:
        """Store a new one; False where another one of the round is filed or approved."""
        ...

    async def newest(self, round_id: UUID) -> Disownment | None:
        """The one of a round that is filed or approved, else the one that was rejected last."""
        ...

    async def lock(self, identifier: UUID) -> Disownment | None:
        """One, locked."""
        ...

    async def decide(self, disownment: Disownment) -> None:
        """Store what became of a locked one."""
        ...

    async def take_void(self, round_id: UUID, *, now: datetime) -> None:
        """Note that settlement voided a disowned round, unless that is noted already."""
        ...

    async def concern(self, round_id: UUID, *, subject: str) -> Concern | None:
        """Why a person may not decide about a round; None where nothing is known."""
        ...

    async def knows(self, round_id: UUID) -> bool:
        """Whether anything is known of a round that was never booked: entries, parts of a settlement, a refused one, or an
        event of settlement that was not applied.
        """
        ...

    async def stop_births(self) -> None:
        """Wait until no other transaction books new rounds, and let none do so until this one ends."""
        ...

    async def disowned(self, rounds: Iterable[UUID]) -> frozenset[UUID]:
        """Those of these rounds that were disowned."""
        ...


class DisownmentQueries(Protocol):
    """What people read of them."""

    async def disownments(
        self, *, state: DisownmentState | None, limit: int, before: tuple[datetime, UUID] | None
    ) -> list[Disownment]:
        """Disownments, newest first, those before a (time, id)."""
        ...

    async def disownment(self, identifier: UUID) -> Disownment | None:
        """One."""
        ...

    async def taken_back(self, disownment: Disownment) -> TakenBack | None:
        """What came of it so far; None unless it is approved."""
        ...
