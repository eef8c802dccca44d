"""Claims, counts of caps and facts of players, as the handlers need them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.claims.domain.claims import Claim, ClaimState
from prizewire_rewards.players.ports import PlayerPorts
from prizewire_rewards.prizes.ports import PrizePorts


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


class ClaimPorts(PrizePorts, PlayerPorts, Protocol):
    """The ports that handlers of claims use in one transaction."""

    claims: Claims
