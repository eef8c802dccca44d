"""Ports of all features: the ledger, receivables, parties, the history of transitions and the outbox."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_money import AssetRegistry
from prizewire_rewards.ledger.domain.accounts import Account, Transfer
from prizewire_rewards.ledger.domain.receivables import Receivable
from prizewire_rewards.ledger.domain.records import CreditParties, EarlierBooking, Event, Party, Transition


class Ledger(Protocol):
    """Postings and locked balances."""

    async def post(self, transfers: Sequence[Transfer], *, now: datetime) -> None:
        """Open missing accounts, append the transfers and change balances, in a fixed number of statements. Accounts are
        locked in the order of their ids.

        Raises:
            Exception: from the database, when a balance would exceed its bound or an edge is not allowed.
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
        """Store the document of transfers that came in from outside: the person, the references, and the id of the earlier
        booking under the same reference that it ``repeats``.
        """
        ...

    async def earlier_funding(self, account: Account, *, reference: str) -> EarlierBooking | None:
        """The first booking under a reference, in any case, that funded this account. The caller holds the intake lock of its asset, so
        that no other transaction books meanwhile.
        """
        ...

    async def lock_balance(self, account: Account) -> int:
        """Lock an account that keeps a balance until the transaction ends, and read its balance; 0 where there is none."""
        ...

    async def lock_balances(self, accounts: Iterable[Account]) -> dict[Account, int]:
        """Lock those of the accounts that exist, in the order of their ids, and read their balances."""
        ...

    async def lock_intake(self, asset: str) -> int:
        """Take the intake lock of an asset until the transaction ends, and read the total that came in from outside."""
        ...


class Receivables(Protocol):
    """Receivables of players. A receivable is locked after the accounts of its player, or alone."""

    async def lock_open(self, wallets: Iterable[Account]) -> dict[tuple[str, str], list[Receivable]]:
        """Lock the open debts of the wallets' owners in their assets, the oldest first, by (player, asset). The caller
        has posted to the wallets and so holds their locks.
        """
        ...

    async def lock_of(self, reference: str, *, players: Iterable[str]) -> list[Receivable]:
        """Lock the debts of these players for one reference that have an unpaid part, written off or not, the oldest
        first.
        """
        ...

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Receivable]:
        """Lock those that exist, in the order of their ids."""
        ...

    async def add(self, receivables: Sequence[Receivable]) -> None:
        """Store new receivables."""
        ...

    async def save(self, receivables: Sequence[Receivable]) -> None:
        """Store the counters of locked receivables."""
        ...


class Parties(Protocol):
    """Parties of money. They are only added; ``take`` alone removes those of a wallet that is paid out completely."""

    async def add_source(self, source: str, party: Party) -> None:
        """Add a party to a pool, a funding account, or the facts of a player. A known party stays unchanged."""
        ...

    async def of_source(self, source: str) -> tuple[Party, ...]:
        """The parties of a pool or funding account."""
        ...

    async def of_sources(self, sources: Iterable[str]) -> dict[str, tuple[Party, ...]]:
        """The parties of several sources; sources without parties are left out."""
        ...

    async def keep(self, credited: Sequence[tuple[Account, CreditParties]]) -> None:
        """Store the parties of credits to players' winnings. The caller has posted the credits."""
        ...

    async def take(self, wallet: Account, *, whole: bool) -> CreditParties:
        """The parties of the money that leaves a player's winnings. The caller holds the wallet's lock. With ``whole`` all
        of it leaves: its parties are deleted, unless an entry fee that they paid may still be refunded.
        """
        ...


class History(Protocol):
    """The transitions of all state machines."""

    async def add(self, transitions: Sequence[Transition], *, now: datetime) -> None:
        """Append transitions."""
        ...


class Messages(Protocol):
    """The outbox: events are committed with the transaction and published afterwards."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Store events in the outbox, in this order."""
        ...


class Pools(Protocol):
    """Pools that get the money of recovered debts."""

    async def take_back(self, amounts: Mapping[UUID, int]) -> None:
        """Reduce what campaigns granted by amounts that came back to their pools. The campaigns need not be locked. A
        campaign that the caller has locked must be saved before.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The dependencies of handlers that need no transaction."""

    assets: AssetRegistry


class LedgerPorts(Protocol):
    """The ports that every feature uses, in one transaction."""

    ledger: Ledger
    receivables: Receivables
    parties: Parties
    pools: Pools
    history: History
    messages: Messages
