"""Settlements, rounds, prizes, and work on rounds of many lines. Amounts are minor units of the round's asset."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from prizewire_rewards.ledger.domain.parties import Party
from prizewire_rewards.prizes.domain.states import BOOKED_REWARDS, ENDED_REWARDS, RewardState, RoundState


class Line(NamedTuple):
    """One prize line of a settlement. ``part`` is the message that brought it."""

    line: int
    player: str
    place: int
    amount: int
    part: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Who settled what for how much: the head that all parts of a settled round share. ``parties`` are who wrote the rule
    and reported the result, and who released a prize of the round since.
    """

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
    parties: tuple[Party, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A settled round. ``queue_position`` orders the rounds of its campaign that wait for money, None while it need
    not; ``version`` counts its events. ``short`` is what single lines of a booked round wait for after a correction;
    a round that is unfunded waits whole.
    """

    settlement: Settlement
    state: RoundState
    version: int = 0
    queue_position: int | None = None
    short: int = 0

    @property
    def wanted(self) -> int:
        """What the pool must hold before this round goes on."""
        return self.settlement.gross if self.state is RoundState.UNFUNDED else self.short

    @property
    def large(self) -> bool:
        """Whether its lines are booked in chunks: it came in more than one part."""
        return self.settlement.parts > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRound:
    """A settlement version that will never be booked, and the ``part`` of it that was refused first. ``code`` says why;
    ``version`` counts the events of its round.
    """

    settlement: Settlement
    part: int
    code: str
    detail: str
    version: int
    cause: str


class Phase(StrEnum):
    """A kind of work on the lines of a large round."""

    LIST = "list"
    """Its staged lines become prizes that wait for their money."""
    PAY = "pay"
    """Prizes get what they miss, as far as the budget reaches."""
    MATURE = "mature"
    """Pending prizes become payable."""
    TAKE = "take"
    """Prizes get the lines of a correction, and what is too much is taken back."""
    ENLIST = "enlist"
    """Players that a correction gives a prize for the first time, or again, get it, waiting for its money."""
    VOID = "void"
    """Everything goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundWork:
    """Work on a large round, done in chunks of lines and in the order of ``id``. ``after_line`` is how far it is;
    ``budget`` is the money for it in the round's reserve, ``waiting`` says that it did not reach and what follows waits;
    ``fees`` says whether the fees leave with its end, ``told`` whether the prizes were told of before; ``head`` is the
    settlement that a correction brings, ``campaign`` the round's.
    """

    round_id: UUID
    version: int
    phase: Phase
    cause: str
    id: int = 0
    after_line: int = 0
    budget: int = 0
    waiting: bool = False
    fees: bool = False
    told: bool = False
    head: Settlement | None = None
    campaign: UUID | None = None


class Reward(NamedTuple):
    """One player's prize of one round. ``note`` is a stable code where something keeps it from going on; on an
    unfunded prize it is the rule that will keep it back. ``short`` is the part of the amount that waits for money
    though the round is booked. ``version`` is the settlement version that its line is of; ``payout_ordinal`` counts
    its direct payouts, of which ``payout_id`` is the last. A prize that a correction took away stands on no line: its
    line number is below zero.
    """

    id: UUID
    round_id: UUID
    line: Line
    state: RewardState
    transfer_id: UUID | None
    note: str | None = None
    payout_id: UUID | None = None
    short: int = 0
    version: int = 1
    payout_ordinal: int = 1

    @property
    def booked(self) -> int:
        """What of its amount lies in a wallet, to be claimed, or held in the reserve."""
        return self.line.amount - self.short if self.state in BOOKED_REWARDS else 0

    @property
    def next_payout_ordinal(self) -> int:
        """The number of its next direct payout."""
        return 1 if self.payout_id is None else self.payout_ordinal + 1

    @property
    def missing(self) -> int:
        """What it still has to get: nothing once it was taken away, expired or was rejected."""
        if self.line.line < 0 or self.state in ENDED_REWARDS:
            return 0
        return self.line.amount - self.booked
