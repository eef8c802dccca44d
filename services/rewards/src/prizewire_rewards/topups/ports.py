"""Top-ups, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.payouts.ports import PayoutPorts
from prizewire_rewards.topups.domain import Reversal, Topup


class Topups(Protocol):
    """Top-ups and their reversals in one transaction."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Topup]:
        """The top-ups with these ids that exist, locked in the order of their ids."""
        ...

    async def save(self, topups: Sequence[Topup], *, now: datetime) -> None:
        """Store new and locked top-ups."""
        ...

    async def reversals(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Reversal]:
        """The reversals with these (rail, provider's id) that exist. The caller has locked their top-ups."""
        ...

    async def save_reversals(self, reversals: Sequence[Reversal], *, now: datetime) -> None:
        """Store new and changed reversals."""
        ...


class TopupPorts(PayoutPorts, Protocol):
    """The ports that handlers of top-ups use in one transaction."""

    topups: Topups
