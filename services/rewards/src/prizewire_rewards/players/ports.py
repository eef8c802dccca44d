"""Claims, counts of caps and facts of players, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from prizewire_rewards.ledger.ports import LedgerPorts
from prizewire_rewards.players.domain.facts import PlayerFacts


class Players(Protocol):
    """What is known of players for risk rules."""

    async def lock(self, players: Iterable[str]) -> dict[str, PlayerFacts]:
        """What is known of them, locked in one order; also of those who come to be known meanwhile."""
        ...

    async def save(self, facts: Sequence[PlayerFacts], *, now: datetime) -> None:
        """Store what is known by now."""
        ...

    async def get(self, player: str) -> PlayerFacts | None:
        """What is known of one, without a lock."""
        ...

    async def forget(self, player: str) -> bool:
        """Erase what is known of one; whether there was anything."""
        ...


class PlayerHasher(Protocol):
    """Keyed hashes of what would tell who a player is."""

    def raw(self, fact: str, value: str) -> str:
        """The keyed hash of a raw device or address, the same as that of its plain hash. ``fact`` names which."""
        ...

    def hashed(self, fact: str, digest: str) -> str:
        """The keyed hash of a device or address that arrived as a plain SHA-256 in hex."""
        ...


class PlayerPorts(LedgerPorts, Protocol):
    """The ports that handlers of players use in one transaction."""

    players: Players
