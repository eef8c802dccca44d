"""Postings, what players owe, and opening balances, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.domain.ledger import Account, Transfer
from prizewire_rewards.domain.model import Receivable
from prizewire_rewards.domain.opening import SumKey
from prizewire_rewards.domain.references import EarlierBooking


class Ledger(Protocol):
    """Postings and locked balances."""

    async def post(self, transfers: Sequence[Transfer], *, now: datetime) -> None:
        """Open accounts that are missing, append the transfers and move balances, all in a fixed number of
        statements; accounts are locked in one order.

        Raises:
            Exception: from the database, when a balance would pass its bound or an edge is not allowed.
        """
        ...

    async def document(
        self,
        transfers: Sequence[Transfer],
        *,
        actor: str,
        references: Sequence[str],
        now: datetime,
        repeats: UUID | None = None,
    ) -> None:
        """Keep who let the money of each transfer in from outside, by which reference, and which earlier booking under
        the same reference it repeats.
        """
        ...

    async def earlier_funding(self, account: Account, *, reference: str) -> EarlierBooking | None:
        """The first booking under a reference that funded this account. The caller holds the lock of the intake of its
        asset, so that nobody else books meanwhile.
        """
        ...

    async def lock_balance(self, account: Account) -> int:
        """A kept balance, its account locked until the transaction ends; 0 where there is no account."""
        ...

    async def lock_balances(self, accounts: Iterable[Account]) -> dict[Account, int]:
        """Kept balances of those accounts that are open, locked in one order."""
        ...

    async def lock_intake(self, asset: str) -> int:
        """What has come in from outside in this asset, in all; nobody else asks until the transaction ends."""
        ...


class Receivables(Protocol):
    """What players owe. A receivable is locked after the accounts of its player, or alone."""

    async def lock_open(self, wallets: Iterable[Account]) -> dict[tuple[str, str], list[Receivable]]:
        """What the wallets' owners still owe in their assets, by (player, asset), the oldest first, locked. The caller
        holds the wallets' locks, having posted to them.
        """
        ...

    async def lock_of(self, reference: str, *, players: Iterable[str]) -> list[Receivable]:
        """Debts for one reference of which these players never paid a part, written off or not, the oldest first,
        locked.
        """
        ...

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Receivable]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def add(self, receivables: Sequence[Receivable]) -> None:
        """Store new ones."""
        ...

    async def save(self, receivables: Sequence[Receivable]) -> None:
        """Store counters of locked ones."""
        ...


class Openings(Protocol):
    """Opening balances that imports have booked."""

    async def lock(self) -> None:
        """One import at a time, until the transaction ends."""
        ...

    async def booked(self, transfers: Sequence[UUID]) -> dict[UUID, int]:
        """The amounts of those of the transfers that exist."""
        ...

    async def totals(self, keys: Iterable[SumKey]) -> dict[SumKey, int]:
        """What imports have brought into each of these buckets."""
        ...
