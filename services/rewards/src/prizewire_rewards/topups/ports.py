"""Entries, top-ups, funding accounts and automatic withdrawals, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.payouts.ports import PayoutPorts
from prizewire_rewards.topups.domain import Reversal, Topup


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


class TopupPorts(PayoutPorts, Protocol):
    """The ports that handlers of top-ups use in one transaction."""

    topups: Topups
