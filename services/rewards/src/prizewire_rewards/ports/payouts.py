"""Payout requests and the methods that they go out by, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.domain.model import Method, Payout


class Payouts(Protocol):
    """Payout requests."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def lock_open(self, players: Iterable[str], *, asset: str) -> list[Payout]:
        """Payouts of these players whose money is still held, the latest first, locked in the order of their ids."""
        ...

    async def see_none_new(self, players: Iterable[str], *, asset: str, known: Sequence[Payout]) -> None:
        """See that these players have no open payout but the ``known`` ones. The caller holds the locks of their winnings,
        so that none comes after this.

        Raises:
            Conflict: one came while the caller waited for these locks. The whole work is to be done again.
        """
        ...

    async def add(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store new ones."""
        ...

    async def save(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store state, outcome and intent of locked ones."""
        ...

    async def asked_since(self, *, player: str, asset: str, since: datetime) -> int:
        """What a player asked for by themselves or by their automatic withdrawal since a moment, less what did not go
        out. The caller holds the lock of the player's winnings, so that nothing is asked for meanwhile.
        """
        ...


class Methods(Protocol):
    """The projection of payout methods."""

    async def record(self, methods: Sequence[Method], *, now: datetime) -> None:
        """Store each unless a newer version of it is known. No method stands twice among them."""
        ...

    async def defaults(self, players: Iterable[str]) -> dict[str, Method]:
        """The active default method of each player that has one."""
        ...

    async def get(self, method_id: UUID) -> Method | None:
        """One method."""
        ...
