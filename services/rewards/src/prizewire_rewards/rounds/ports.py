"""Disownments of rounds, as the handlers need them."""

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
from prizewire_rewards.rounds.domain.disownments import Concern, Disownment


class Disownments(Protocol):
    """Disownments in one transaction."""

    async def add(self, disownment: Disownment) -> bool:
        """Store a new one; False where another one of the round is filed or approved."""
        ...

    async def newest(self, round_id: UUID) -> Disownment | None:
        """The one of a round that is filed or approved, else the one that was rejected last."""
        ...

    async def lock(self, identifier: UUID) -> Disownment | None:
        """One, locked."""
        ...

    async def decide(self, disownment: Disownment) -> None:
        """Store what became of a locked one."""
        ...

    async def record_void(self, round_id: UUID, *, now: datetime) -> None:
        """Note that settlement voided a disowned round, unless that is noted already."""
        ...

    async def concern(self, round_id: UUID, *, subject: str) -> Concern | None:
        """Why a person may not decide about a round; None where nothing is known."""
        ...

    async def is_known(self, round_id: UUID) -> bool:
        """Whether anything is known of a round that was never booked: entries, parts of a settlement, a refused one, or an
        event of settlement that was not applied.
        """
        ...

    async def block_new_rounds(self) -> None:
        """Wait until no other transaction books new rounds, and let none do so until this one ends."""
        ...


class RunningDigest(Protocol):
    """A digest of lines that come a few at a time, in their order."""

    def add(self, lines: Sequence[Line]) -> None:
        """Some more lines."""
        ...

    def hexdigest(self) -> str:
        """The digest of all lines that came."""
        ...


class LinesDigest(Protocol):
    """The digest that a settlement carries of its lines."""

    def __call__(self, lines: Sequence[Line], *, asset: str) -> str:
        """Hex SHA-256 of the canonical JSON array ``[[line, player, place, amount], …]``."""
        ...

    def begin(self, *, asset: str) -> RunningDigest:
        """The same digest, of lines that come a few at a time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTools(PayoutTools):
    """What handlers of rounds use that needs no transaction."""

    digest: LinesDigest


class RoundPorts(ClaimPorts, EntryPorts, FeePorts, Protocol):
    """The ports that handlers of rounds use in one transaction."""

    disownments: Disownments
