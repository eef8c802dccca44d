"""Ports of claims."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.claims.domain import Claim, ClaimState
from prizewire_rewards.players.ports import PlayerPorts
from prizewire_rewards.prizes.ports import PrizePorts


class Claims(Protocol):
    """Claims in one transaction."""

    async def lock_player(self, player: str) -> None:
        """Take the lock of a player's claims until the transaction ends: claims of one player are judged one by one,
        because each judgement counts the others.
        """
        ...

    async def find(self, reward_id: UUID) -> Claim | None:
        """Read one claim without a lock."""
        ...

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Claim]:
        """Lock those that exist, in the order of their ids. The caller holds the locks of their rounds."""
        ...

    async def add(self, claims: Sequence[Claim]) -> None:
        """Store new claims."""
        ...

    async def save(self, claims: Sequence[Claim]) -> None:
        """Store changes of locked claims."""
        ...

    async def due(self, state: ClaimState, *, now: datetime, limit: int) -> list[Claim]:
        """Read claims in ``state`` whose deadline has passed, without a lock: those of the campaign with the oldest such
        deadline.
        """
        ...

    async def recent(self, player: str, *, excluding: UUID, since: datetime, limit: int) -> int:
        """Count the prizes that the player claimed or was credited since a time, without the claim ``excluding``, up to
        ``limit``.
        """
        ...

    async def sharing(self, claim: Claim, *, limit: int) -> list[str]:
        """Other winners of the claim's round who have its player's device or address, at most ``limit``."""
        ...


class ClaimPorts(PrizePorts, PlayerPorts, Protocol):
    """The ports that handlers of claims use in one transaction."""

    claims: Claims
