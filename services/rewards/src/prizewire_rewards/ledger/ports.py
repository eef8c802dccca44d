"""The ledger, receivables, parties, the history of steps and the outbox, as handlers need them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_money import AssetRegistry
from prizewire_rewards.ledger.domain.accounts import Account, Transfer
from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.ledger.domain.parties import CreditParties, Party
from prizewire_rewards.ledger.domain.receivables import Receivable
from prizewire_rewards.ledger.domain.references import EarlierBooking
from prizewire_rewards.ledger.domain.transitions import Transition


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


class Parties(Protocol):
    """Parties of money. They are only added to, but for a wallet that is paid out whole."""

    async def add_source(self, source: str, party: Party) -> None:
        """Add a party to a pool, a funding account, or the facts of a player; one that is known stays as it is."""
        ...

    async def of_source(self, source: str) -> tuple[Party, ...]:
        """The parties of a pool or funding account."""
        ...

    async def of_sources(self, sources: Iterable[str]) -> dict[str, tuple[Party, ...]]:
        """The parties of those of several that have any."""
        ...

    async def keep(self, credited: Sequence[tuple[Account, CreditParties]]) -> None:
        """Add who is behind credits to players' winnings. The caller has posted them."""
        ...

    async def of_wallet(self, wallet: Account) -> CreditParties:
        """Who is behind what a player's winnings hold. The caller holds the wallet's lock."""
        ...

    async def forget(self, wallet: Account) -> None:
        """Forget who was behind winnings that are paid out whole, unless an entry that they paid may still come back.
        The caller holds the wallet's lock.
        """
        ...


class History(Protocol):
    """Every step of every state machine."""

    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        """Append steps."""
        ...


class Messages(Protocol):
    """Events on their way out, committed with the rest."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Put events into the outbox, in this order."""
        ...


class Pools(Protocol):
    """Pools that recovered debts go back to."""

    async def take_back(self, amounts: Mapping[UUID, int]) -> None:
        """Count amounts that came back to the pools of campaigns as granted no more. It does not need the campaigns' locks;
        a campaign that the caller holds must have been saved before.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What handlers use that needs no transaction."""

    assets: AssetRegistry


class LedgerPorts(Protocol):
    """The ports that every feature uses, in one transaction."""

    ledger: Ledger
    receivables: Receivables
    parties: Parties
    pools: Pools
    history: History
    messages: Messages
