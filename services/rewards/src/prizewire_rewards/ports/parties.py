"""Who is behind the money of pools and wallets, as the handlers need it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from prizewire_rewards.domain.ledger import Account
from prizewire_rewards.domain.parties import Behind, Party


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

    async def keep(self, credited: Sequence[tuple[Account, Behind]]) -> None:
        """Add who is behind credits to players' winnings. The caller has posted them."""
        ...

    async def of_wallet(self, wallet: Account) -> Behind:
        """Who is behind what a player's winnings hold. The caller holds the wallet's lock."""
        ...

    async def forget(self, wallet: Account) -> None:
        """Forget who was behind winnings that are paid out whole, unless an entry that they paid may still come back.
        The caller holds the wallet's lock.
        """
        ...
