"""What settlement and people say of rounds."""

from dataclasses import dataclass
from uuid import UUID

from prizewire_rewards.prizes.domain.model import Line, Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRound:
    """A settled round, or part ``part`` of one."""

    settlement: Settlement
    part: int
    lines: tuple[Line, ...]
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectRound(SettleRound):
    """Full new lines of a settled round, or part ``part`` of them."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRound:
    """A round does not count."""

    round_id: UUID
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeRound:
    """The dispute window of a settlement version has passed."""

    round_id: UUID
    settlement_version: int
    cause: str


RoundCommand = SettleRound | CorrectRound | VoidRound | FinalizeRound
