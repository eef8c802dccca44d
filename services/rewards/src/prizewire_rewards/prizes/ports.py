"""Settled rounds, as the handlers need them: prizes, parts that wait for the rest, work that is left."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.campaigns.ports import CampaignPorts
from prizewire_rewards.ledger.domain.parties import Party
from prizewire_rewards.payouts.ports import PayoutPorts
from prizewire_rewards.prizes.domain.model import Line, RefusedRound, Reward, Round, RoundWork, Settlement


@dataclass(frozen=True, slots=True)
class StagedHead:
    """The head that the staged parts of a settlement share, and which those are."""

    head: Settlement
    parts: frozenset[int]


class Rounds(Protocol):
    """Settled rounds, their prizes, and the parts of those that are not whole yet."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Round]:
        """Those that exist, locked in the order of their ids."""
        ...

    async def lock_settled(self, ids: Iterable[UUID]) -> tuple[dict[UUID, Round], frozenset[UUID]]:
        """Those that exist, locked in the order of their ids, and those of the ids that two admins disowned."""
        ...

    async def lock_queue(self, campaign: UUID, *, limit: int) -> list[Round]:
        """The rounds of a locked campaign that wait for money, longest first, locked."""
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
        """Store the state of locked rounds and of prizes that moved on or changed with their settlement."""
        ...

    async def record_correction(
        self, settlement: Settlement, *, reason: str, cause: str, now: datetime
    ) -> None:
        """Remember that a correction was accepted."""
        ...

    async def refused(self, ids: Iterable[UUID]) -> dict[UUID, list[int]]:
        """The settlement versions of these rounds that were refused for good; nothing for rounds without one."""
        ...

    async def refuse(self, refused: Sequence[RefusedRound], *, now: datetime) -> None:
        """Remember that settlement versions were refused for good."""
        ...

    async def add_party(self, round_id: UUID, party: Party) -> None:
        """Add a party to a locked round; one that is known stays as it is."""
        ...

    async def campaigns_of(self, ids: Iterable[UUID]) -> dict[UUID, UUID]:
        """The campaigns of those rounds that exist; a round never changes its own."""
        ...

    async def add_rewards(self, rewards: Sequence[Reward], *, assets: Mapping[UUID, str]) -> None:
        """Store prizes that came into being after their rounds, whose assets are given."""
        ...

    async def reward(self, reward_id: UUID) -> Reward | None:
        """One prize, as it is; decide only once its round is locked."""
        ...

    async def staged(self, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], StagedHead]:
        """What waits of settlements in parts, by round and settlement version."""
        ...

    async def stage(
        self, parts: Sequence[tuple[Settlement, int, tuple[Line, ...]]], *, now: datetime
    ) -> None:
        """Store parts until the settlement is whole and booked."""
        ...

    async def unstage(self, key: tuple[UUID, int], *, part: int | None = None) -> None:
        """Drop one part of a staged settlement, or all of it."""
        ...

    async def staged_lines(self, key: tuple[UUID, int], *, after: int, limit: int) -> list[Line]:
        """The staged lines after a number, in their order."""
        ...

    async def staged_players(self, key: tuple[UUID, int]) -> int:
        """How many players the staged lines name."""
        ...

    async def staged_for(self, key: tuple[UUID, int], *, players: Iterable[str]) -> dict[str, Line]:
        """The staged lines of players, as far as they have one."""
        ...

    async def hold(self, key: tuple[UUID, int], *, held: Mapping[int, str]) -> None:
        """Note on staged lines which rule will keep them back."""
        ...

    async def holds(self, key: tuple[UUID, int], *, after: int, upto: int) -> dict[int, str]:
        """What is noted on the staged lines of a range."""
        ...

    async def chunk(
        self, round_id: UUID, *, after: int, limit: int, before_version: int | None = None
    ) -> list[Reward]:
        """Prizes on lines after a number, in their order; of settlements before a version, if one is named."""
        ...

    async def shortage(self, round_id: UUID) -> int:
        """What the prizes of a booked round wait for."""
        ...

    async def rewards_of(self, round_id: UUID, *, players: Iterable[str]) -> dict[str, Reward]:
        """The prizes of some players."""
        ...

    async def add_work(self, tasks: Sequence[RoundWork], *, now: datetime) -> None:
        """Put work behind what is to be done already."""
        ...

    async def next_work(self) -> RoundWork | None:
        """The work that is due next, as it is; decide only once its round is locked."""
        ...

    async def pending_work(self, rounds: Iterable[UUID]) -> dict[UUID, list[RoundWork]]:
        """What is to be done on locked rounds, in its order."""
        ...

    async def save_work(self, task: RoundWork) -> None:
        """Store how far work is."""
        ...

    async def end_work(self, task: RoundWork) -> None:
        """Work is through."""
        ...


class PrizePorts(CampaignPorts, PayoutPorts, Protocol):
    """The ports that handlers of prizes use in one transaction."""

    rounds: Rounds
