"""Claims, counts of caps and facts of players, as the handlers need them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.domain.caps import CapKey, CapLine
from prizewire_rewards.domain.claims import Claim, ClaimState
from prizewire_rewards.domain.players import PlayerFacts


class Claims(Protocol):
    """Prizes that must be claimed."""

    async def queue(self, player: str) -> None:
        """Wait until no other transaction decides a claim of this player, and keep others waiting."""
        ...

    async def find(self, reward_id: UUID) -> Claim | None:
        """One claim as it is, without a lock."""
        ...

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Claim]:
        """Those that exist, locked in the order of their ids. The caller holds their rounds' locks."""
        ...

    async def add(self, claims: Sequence[Claim]) -> None:
        """Store new ones."""
        ...

    async def save(self, claims: Sequence[Claim]) -> None:
        """Store what was decided of locked ones."""
        ...

    async def due(self, state: ClaimState, *, now: datetime, limit: int) -> list[Claim]:
        """Claims in ``state`` whose deadline has passed, of the campaign whose claim is due longest; not locked."""
        ...

    async def recent(self, player: str, *, but: UUID, since: datetime, limit: int) -> int:
        """How many prizes the player claimed or was credited since, at most ``limit``; the claim ``but`` left out."""
        ...

    async def sharing(self, claim: Claim, *, limit: int) -> list[str]:
        """Other winners of the claim's round who have its player's device or address, at most ``limit``."""
        ...


class CapCounts(Protocol):
    """What campaigns with caps have granted. The caller holds the campaigns' locks."""

    async def lock(self, keys: Iterable[CapKey]) -> dict[CapKey, int]:
        """What was counted, above zero, locked in one order."""
        ...

    async def lines(self, reward_ids: Iterable[UUID]) -> dict[UUID, CapLine]:
        """Those of these prizes that count."""
        ...

    async def save(self, used: Mapping[CapKey, int], lines: Sequence[CapLine]) -> None:
        """Store counts, and prizes that count; one that counts with nothing is forgotten."""
        ...

    async def begin(self, campaign: UUID) -> None:
        """Count what a campaign that had no caps so far has granted."""
        ...


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
