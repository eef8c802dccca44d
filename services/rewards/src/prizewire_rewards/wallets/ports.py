"""Postings, what players owe, and opening balances, as the handlers need them."""

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from prizewire_rewards.payouts.ports import PayoutPorts
from prizewire_rewards.wallets.domain.opening import SumKey


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


class WalletPorts(PayoutPorts, Protocol):
    """The ports that handlers of opening balances use in one transaction."""

    openings: Openings
