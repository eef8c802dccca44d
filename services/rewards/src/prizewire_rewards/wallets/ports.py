"""Opening balances, as the handlers need them."""

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from prizewire_rewards.payouts.ports import PayoutPorts
from prizewire_rewards.wallets.domain.opening import SumKey


class Openings(Protocol):
    """Opening balances of earlier imports, in one transaction."""

    async def lock(self) -> None:
        """Wait for other imports, and block them until the transaction ends."""
        ...

    async def booked(self, transfers: Sequence[UUID]) -> dict[UUID, int]:
        """The amounts (minor units) of those of these transfers that exist."""
        ...

    async def totals(self, keys: Iterable[SumKey]) -> dict[SumKey, int]:
        """The sums (minor units) that imports have booked into each of these buckets."""
        ...


class WalletPorts(PayoutPorts, Protocol):
    """The ports that handlers of opening balances use in one transaction."""

    openings: Openings
