"""Entries and their rounds, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.entries.domain import Entry, EntryRound
from prizewire_rewards.payouts.ports import PayoutPorts


class Entries(Protocol):
    """Rounds that players enter and their entries, in one transaction."""

    async def lock_rounds(self, ids: Iterable[UUID]) -> dict[UUID, EntryRound]:
        """The rounds with these ids that exist, locked in the order of their ids."""
        ...

    async def lock_closing(self) -> EntryRound | None:
        """A round that has ended and whose entries are not closed yet, locked. A round that another worker has locked is
        skipped.
        """
        ...

    async def save_rounds(self, rounds: Sequence[EntryRound], *, now: datetime) -> None:
        """Store new and locked rounds."""
        ...

    async def final_rounds(self, ids: Iterable[UUID]) -> frozenset[UUID]:
        """Those of these rounds whose settlement is final."""
        ...

    async def disowned(self, rounds: Iterable[UUID]) -> frozenset[UUID]:
        """Those of these rounds that two admins disowned."""
        ...

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Entry]:
        """Entries that exist, locked in the order of their ids."""
        ...

    async def lock_unclosed(
        self, rounds: Iterable[UUID], *, disowned: Iterable[UUID], limit: int
    ) -> list[Entry]:
        """Paid entries of these rounds, locked; of ``disowned`` rounds also earned ones in redeemable assets."""
        ...

    async def earned(self, round_id: UUID) -> dict[str, int]:
        """The sums of the earned entries of a round, by redeemable asset (minor units)."""
        ...

    async def save(self, entries: Sequence[Entry], *, now: datetime) -> None:
        """Store new and locked entries."""
        ...


class EntryPorts(PayoutPorts, Protocol):
    """The ports that handlers of entries use in one transaction."""

    entries: Entries
