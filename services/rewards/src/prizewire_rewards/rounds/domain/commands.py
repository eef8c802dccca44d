"""Commands about rounds: settle, correct, void, finalize."""

from dataclasses import dataclass
from uuid import UUID

from prizewire_rewards.prizes.domain.model import Line, Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRound:
    """Book a settled round, or part ``part`` of one."""

    settlement: Settlement
    part: int
    lines: tuple[Line, ...]
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectRound(SettleRound):
    """Replace all lines of a settled round by corrected ones, or bring part ``part`` of them."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRound:
    """Void a round: its match does not count."""

    round_id: UUID
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeRound:
    """Finalize a settlement version: its dispute window has passed."""

    round_id: UUID
    settlement_version: int
    cause: str


RoundCommand = SettleRound | CorrectRound | VoidRound | FinalizeRound
