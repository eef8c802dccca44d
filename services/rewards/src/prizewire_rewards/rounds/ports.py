"""Ports of rounds: disownments, and the digest of lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.claims.ports import ClaimPorts
from prizewire_rewards.entries.ports import EntryPorts
from prizewire_rewards.fees.ports import FeePorts
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.model import Line
from prizewire_rewards.rounds.domain.commands import FinalizeRound, SettleRound
from prizewire_rewards.rounds.domain.disownments import Concern, Disownment


class Disownments(Protocol):
    """Disownments in one transaction."""

    async def add(self, disownment: Disownment) -> bool:
        """Store a new disownment; False where another one of the round is filed or approved."""
        ...

    async def newest(self, round_id: UUID) -> Disownment | None:
        """The filed or approved disownment of a round, else the one that was rejected last."""
        ...

    async def lock(self, identifier: UUID) -> Disownment | None:
        """Lock a disownment; None where there is none."""
        ...

    async def decide(self, disownment: Disownment) -> None:
        """Store the decision about a locked disownment."""
        ...

    async def record_void(self, round_id: UUID, *, now: datetime) -> None:
        """Store that settlement voided a disowned round. The first time stays."""
        ...

    async def record_without_effect(self, command: SettleRound | FinalizeRound, *, now: datetime) -> None:
        """Store that an event of settlement about a disowned round has no effect. A known event stays unchanged."""
        ...

    async def concern(self, round_id: UUID, *, subject: str) -> Concern | None:
        """The conflict of interest of a person with a round; None where there is none."""
        ...

    async def is_known(self, round_id: UUID) -> bool:
        """Whether rewards has anything of a round that was never booked: entries, parts of a settlement, a refused one, or
        an event of settlement that was not applied.
        """
        ...

    async def block_new_rounds(self) -> None:
        """Wait until no other transaction books new rounds, and block new rounds until this transaction ends."""
        ...


class RunningDigest(Protocol):
    """A digest of lines that are added in batches, in their order."""

    def add(self, lines: Sequence[Line]) -> None:
        """Add the next lines."""
        ...

    def hexdigest(self) -> str:
        """The digest of all added lines."""
        ...


class LinesDigest(Protocol):
    """The digest of a settlement's lines."""

    def __call__(self, lines: Sequence[Line], *, asset: str) -> str:
        """Hex SHA-256 of the canonical JSON array ``[[line, player, place, amount], …]``."""
        ...

    def begin(self, *, asset: str) -> RunningDigest:
        """Begin the same digest over lines that are added in batches."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTools(PayoutTools):
    """The dependencies of handlers of rounds that need no transaction."""

    digest: LinesDigest


class RoundPorts(ClaimPorts, EntryPorts, FeePorts, Protocol):
    """The ports that handlers of rounds use in one transaction."""

    disownments: Disownments
