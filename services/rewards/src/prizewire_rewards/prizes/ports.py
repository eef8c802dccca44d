"""Ports of settled rounds: prizes, staged parts of settlements, and work on large rounds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.campaigns.ports import CampaignPorts
from prizewire_rewards.ledger.domain.records import Party
from prizewire_rewards.payouts.ports import PayoutPorts
from prizewire_rewards.prizes.domain.model import Line, RefusedRound, Reward, Round, RoundWork, Settlement


@dataclass(frozen=True, slots=True)
class StagedHead:
    """The head that the staged parts of a settlement share, and the numbers of these parts."""

    head: Settlement
    parts: frozenset[int]


class Rounds(Protocol):
    """Settled rounds, their prizes, staged parts of incomplete settlements, and work on large rounds."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Round]:
        """Lock those that exist, in the order of their ids."""
        ...

    async def lock_settled(self, ids: Iterable[UUID]) -> tuple[dict[UUID, Round], frozenset[UUID]]:
        """Lock those that exist, in the order of their ids. The second result are the ids that two admins disowned."""
        ...

    async def lock_queue(self, campaign: UUID, *, limit: int) -> list[Round]:
        """Lock the rounds of a locked campaign that wait for money, the longest waiting first."""
        ...

    async def rewards(self, rounds: Iterable[UUID]) -> dict[UUID, list[Reward]]:
        """The prizes of these rounds in line order."""
        ...

    async def prizes(self, ids: Iterable[UUID]) -> dict[UUID, Reward]:
        """Single prizes by their ids, those that exist. The caller holds their rounds' locks."""
        ...

    async def add(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store new rounds with their prizes."""
        ...

    async def save(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store the state of locked rounds and of their changed prizes."""
        ...

    async def record_correction(
        self, settlement: Settlement, *, reason: str, cause: str, now: datetime
    ) -> None:
        """Store that a correction was accepted."""
        ...

    async def refused(self, ids: Iterable[UUID]) -> dict[UUID, list[int]]:
        """The settlement versions of these rounds that were refused permanently; rounds without one are left out."""
        ...

    async def refuse(self, refused: Sequence[RefusedRound], *, now: datetime) -> None:
        """Store that settlement versions were refused permanently."""
        ...

    async def add_party(self, round_id: UUID, party: Party) -> None:
        """Add a party to a locked round. A known party stays unchanged."""
        ...

    async def campaigns_of(self, ids: Iterable[UUID]) -> dict[UUID, UUID]:
        """The campaigns of those rounds that exist. The campaign of a round never changes."""
        ...

    async def add_rewards(self, rewards: Sequence[Reward], *, assets: Mapping[UUID, str]) -> None:
        """Store new prizes of existing rounds. ``assets`` are those of the rounds."""
        ...

    async def reward(self, reward_id: UUID) -> Reward | None:
        """Read one prize without a lock. The caller locks its round before it decides."""
        ...

    async def staged(self, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], StagedHead]:
        """The staged parts of settlements, by round and settlement version."""
        ...

    async def stage(
        self, parts: Sequence[tuple[Settlement, int, tuple[Line, ...]]], *, now: datetime
    ) -> None:
        """Store parts until the settlement is complete and booked."""
        ...

    async def unstage(self, key: tuple[UUID, int], *, part: int | None = None) -> None:
        """Delete one part of a staged settlement, or all parts."""
        ...

    async def staged_lines(self, key: tuple[UUID, int], *, after: int, limit: int) -> list[Line]:
        """The staged lines with a number above ``after``, in their order."""
        ...

    async def staged_players(self, key: tuple[UUID, int]) -> int:
        """Count the players of the staged lines."""
        ...

    async def staged_for(self, key: tuple[UUID, int], *, players: Iterable[str]) -> dict[str, Line]:
        """The staged lines of those players who have one."""
        ...

    async def hold(self, key: tuple[UUID, int], *, held: Mapping[int, str]) -> None:
        """Store with staged lines the code of the rule that will hold their prizes."""
        ...

    async def holds(self, key: tuple[UUID, int], *, after: int, upto: int) -> dict[int, str]:
        """The stored codes of staged lines in a range, by line number."""
        ...

    async def chunk(
        self, round_id: UUID, *, after: int, limit: int, before_version: int | None = None
    ) -> list[Reward]:
        """Prizes with a line number above ``after``, in their order. With ``before_version``, only those whose settlement
        version is lower.
        """
        ...

    async def shortage(self, round_id: UUID) -> int:
        """The sum of what the prizes of a booked round wait for."""
        ...

    async def rewards_of(self, round_id: UUID, *, players: Iterable[str]) -> dict[str, Reward]:
        """The prizes of some players."""
        ...

    async def credited_before(self, ids: Iterable[UUID]) -> frozenset[UUID]:
        """Those of these prizes that the ledger credited to winnings, even if it was taken back later."""
        ...

    async def add_work(self, tasks: Sequence[RoundWork], *, now: datetime) -> None:
        """Add work after the existing work of the rounds."""
        ...

    async def next_work(self) -> RoundWork | None:
        """Read the next work without a lock. The caller locks its round before it decides."""
        ...

    async def pending_work(self, rounds: Iterable[UUID]) -> dict[UUID, list[RoundWork]]:
        """The work on locked rounds, in its order."""
        ...

    async def save_work(self, task: RoundWork) -> None:
        """Store the progress of work."""
        ...

    async def end_work(self, task: RoundWork) -> None:
        """Delete finished work."""
        ...


class PrizePorts(CampaignPorts, PayoutPorts, Protocol):
    """The ports that handlers of prizes use in one transaction."""

    rounds: Rounds
