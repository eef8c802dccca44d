"""Facts of players, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from prizewire_rewards.ledger.ports import LedgerPorts
from prizewire_rewards.players.domain import PlayerFacts


class Players(Protocol):
    """Facts of players in one transaction."""

    async def lock(self, players: Iterable[str]) -> dict[str, PlayerFacts]:
        """The facts of these players, locked in the order of their names. A player without facts is locked as well."""
        ...

    async def save(self, facts: Sequence[PlayerFacts], *, now: datetime) -> None:
        """Store facts of locked players."""
        ...

    async def get(self, player: str) -> PlayerFacts | None:
        """The facts of one player, without a lock; None where there are none."""
        ...

    async def forget(self, player: str) -> bool:
        """Erase the facts of one player. Returns whether there were any."""
        ...


class PlayerHasher(Protocol):
    """Keyed hashes of facts that identify a player."""

    def raw(self, fact: str, value: str) -> str:
        """The keyed hash of a raw device or address; ``hashed`` gives the same for its SHA-256. ``fact`` is ``device`` or
        ``address``.
        """
        ...

    def hashed(self, fact: str, digest: str) -> str:
        """The keyed hash of a device or address that arrived as a plain SHA-256 in hex."""
        ...


class PlayerPorts(LedgerPorts, Protocol):
    """The ports that handlers of players use in one transaction."""

    players: Players
