"""What the use cases of players' facts need."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from prizewire_payouts.players.domain import PlayerFacts


class Players(Protocol):
    """Facts of players within one transaction."""

    async def find(self, players: Iterable[str]) -> Mapping[str, PlayerFacts]:
        """The facts of these players, not locked; those without facts are left out."""
        ...

    async def lock(self, players: Iterable[str]) -> dict[str, PlayerFacts]:
        """The facts of these players, locked in the order of their names. A player without facts gets an empty row to lock."""
        ...

    async def save(self, facts: Collection[PlayerFacts], *, now: datetime) -> None:
        """Store facts of locked players."""
        ...
