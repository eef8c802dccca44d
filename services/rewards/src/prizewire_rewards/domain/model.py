"""The things that rewards keeps. Amounts are minor units of the thing's asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from prizewire_rewards.domain.states import CampaignState, PayoutState, RewardState, RoundState

__all__ = [
    "Campaign",
    "Delivery",
    "Line",
    "Method",
    "Payout",
    "Reward",
    "Round",
    "Settlement",
    "Transition",
]


class Delivery(StrEnum):
    """What follows once a prize is final."""

    WALLET = "wallet"
    """It stays in the wallet."""
    DIRECT = "direct"
    """It is requested at once to the player's default payout method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A pool of prizes with its rules.

    ``funded`` is all that ever came in, ``granted`` what rounds took out for good, ``available`` what the pool
    holds: funded = granted + available. ``queued`` rounds wait for money; ``queue_tail`` is the position of the
    last that ever began to wait. ``version`` counts its events.
    """

    id: UUID
    name: str
    asset: str
    delivery: Delivery
    state: CampaignState
    funded: int = 0
    granted: int = 0
    available: int = 0
    queued: int = 0
    queue_tail: int = 0
    version: int = 0


class Line(NamedTuple):
    """One prize line of a settlement. ``part`` is the message that brought it."""

    line: int
    player: str
    place: int
    amount: int
    part: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Who settled what for how much: the head that all parts of a settled round share."""

    round_id: UUID
    match_id: str
    match_source: str
    competition: str
    correlation_id: str
    settlement_version: int
    rule_version: int
    campaign: UUID
    asset: str
    gross: int
    platform_fee: int
    organizer_fee: int
    organizer_player: str | None
    net: int
    unclaimed: int
    parts: int
    lines_total: int
    digest: str
    final: bool
    final_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A settled round. ``queue_position`` orders the rounds of its campaign that wait for money, None when it
    never had to; ``version`` counts its events.
    """

    settlement: Settlement
    state: RoundState
    version: int = 0
    queue_position: int | None = None


class Reward(NamedTuple):
    """One player's prize of one round. ``note`` is a stable code where something keeps it from going on."""

    id: UUID
    round_id: UUID
    line: Line
    state: RewardState
    transfer_id: UUID | None
    note: str | None = None
    payout_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What payouts told of a payout method: enough to bind an intent to it."""

    id: UUID
    version: int
    player: str
    type: str
    rail_type: str
    active: bool
    verified: bool
    is_default: bool
    address: str | None
    memo: str | None
    commitment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A payout that rewards asked for. ``campaign`` and ``round_id`` are set on direct ones; ``rail`` is the name
    of the rail that paid it, ``intent`` the signed intent as JSON. ``version`` counts rewards' events of it.

    A player's payout goes to a method of theirs; an operator's has neither, and is paid out of ``funding_account``.
    ``fee`` is what the player bears of ``amount``.
    """

    id: UUID
    player: str | None
    asset: str
    amount: int
    correlation_id: str
    state: PayoutState
    filed_by: str
    method_id: UUID | None
    method_version: int | None
    rail_types: tuple[str, ...]
    intent: Mapping[str, Any]
    intent_signature: str
    campaign: UUID | None = None
    round_id: UUID | None = None
    funding_account: str | None = None
    fee: int = 0
    rail: str | None = None
    returned: int = 0
    outcome: Mapping[str, Any] | None = None
    version: int = 0

    @property
    def pay_amount(self) -> int:
        """What is to arrive: the amount less the fee."""
        return self.amount - self.fee


class Transition(NamedTuple):
    """One step of a state machine, as history keeps it. ``was`` is empty at birth."""

    machine: str
    subject: UUID
    was: str
    to: str
    cause: str
    correlation_id: str
