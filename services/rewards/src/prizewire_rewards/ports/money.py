"""Entries, top-ups, funding accounts and automatic withdrawals, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.domain.entries import Entry, EntryRound
from prizewire_rewards.domain.funding import FundingAccount
from prizewire_rewards.domain.topups import Reversal, Topup
from prizewire_rewards.domain.views import FundingView
from prizewire_rewards.domain.withdrawals import AutoWithdrawal


class Entries(Protocol):
    """Rounds that players enter, and their entries."""

    async def lock_rounds(self, ids: Iterable[UUID]) -> dict[UUID, EntryRound]:
        """Those that are known, locked in the order of their ids."""
        ...

    async def lock_closing(self) -> EntryRound | None:
        """A round that has ended and whose entries are still to follow, locked; one that nobody else has."""
        ...

    async def save_rounds(self, rounds: Sequence[EntryRound], *, now: datetime) -> None:
        """Store new rounds and what became of locked ones."""
        ...

    async def final_rounds(self, ids: Iterable[UUID]) -> frozenset[UUID]:
        """Those of these rounds whose settlement is final."""
        ...

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Entry]:
        """Entries that exist, locked in the order of their ids."""
        ...

    async def lock_unclosed(
        self, rounds: Iterable[UUID], *, disowned: Iterable[UUID], limit: int
    ) -> list[Entry]:
        """Paid entries of these rounds, locked; of those that are ``disowned``, earned ones of redeemable assets too."""
        ...

    async def earned(self, round_id: UUID) -> dict[str, int]:
        """What the earned entries of a round make, by redeemable asset (minor units)."""
        ...

    async def save(self, entries: Sequence[Entry], *, now: datetime) -> None:
        """Store new entries and what became of locked ones."""
        ...


class Topups(Protocol):
    """Top-ups and what reversed them."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Topup]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def save(self, topups: Sequence[Topup], *, now: datetime) -> None:
        """Store new ones and what became of locked ones."""
        ...

    async def reversals(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Reversal]:
        """Those that are known of these (rail, provider's id). Their top-ups are locked by the caller."""
        ...

    async def save_reversals(self, reversals: Sequence[Reversal], *, now: datetime) -> None:
        """Store new ones, and what became of others."""
        ...


class Fundings(Protocol):
    """Funding accounts; what they hold stands in the ledger."""

    async def get(self, name: str) -> FundingAccount | None:
        """One account."""
        ...

    async def add(self, account: FundingAccount, *, actor: str, now: datetime) -> bool:
        """Store a new account; False where the name is taken."""
        ...


class Withdrawals(Protocol):
    """Players' wishes for automatic withdrawal."""

    async def lock(self, *, player: str, asset: str) -> AutoWithdrawal | None:
        """One wish, locked."""
        ...

    async def lock_due(self, *, now: datetime) -> AutoWithdrawal | None:
        """A wish that is due, locked; one that nobody else has."""
        ...

    async def save(self, wish: AutoWithdrawal, *, now: datetime) -> None:
        """Store a new wish, or what became of a locked one."""
        ...

    async def remove(self, *, player: str, asset: str) -> bool:
        """Drop a wish; False where there was none."""
        ...


class MoneyQueries(Protocol):
    """What people read of it."""

    async def fundings(self, *, name: str | None = None) -> list[FundingView]:
        """Funding accounts with their balances, by name; or one of them."""
        ...

    async def round_entries(
        self, *, player: str, limit: int, before: tuple[datetime, UUID] | None
    ) -> list[Entry]:
        """A player's entries, newest first, those before a (time, id)."""
        ...

    async def withdrawals(self, player: str) -> list[AutoWithdrawal]:
        """A player's wishes for automatic withdrawal, newest first."""
        ...
