"""Settlements, rounds, prizes, and work on rounds of many lines. Amounts are minor units of the round's asset."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from prizewire_rewards.ledger.domain.records import Event, Party, sorted_parties
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
    """The head of a settlement, which all parts of a settled round share. ``parties`` are the persons who wrote the rule,
    who reported the result, and who released a prize of the round, sorted and without repetition.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "parties", sorted_parties(self.parties))


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A settled round. ``queue_position`` orders the rounds of a campaign that wait for money, None for a round that does
    not wait. ``version`` counts its events. ``short`` is the amount that lines of a booked round wait for after a
    correction. An unfunded round waits for its whole amount.
    """

    settlement: Settlement
    state: RoundState
    version: int = 0
    queue_position: int | None = None
    short: int = 0

    @property
    def wanted(self) -> int:
        """The amount that the pool must hold before this round can be booked further."""
        return self.settlement.gross if self.state is RoundState.UNFUNDED else self.short

    @property
    def large(self) -> bool:
        """Whether its lines are booked in chunks: the settlement has more than one part."""
        return self.settlement.parts > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRound:
    """A settlement version that will never be booked. ``part`` is the first refused part, ``code`` the reason, and
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
    """Prizes get their missing amounts until the budget is used."""
    MATURE = "mature"
    """Pending prizes become payable."""
    TAKE = "take"
    """Prizes get the lines of a correction, and excess amounts are taken back."""
    ENLIST = "enlist"
    """Players who have a prize by the correction, but had none before it, get a prize that waits for its money."""
    VOID = "void"
    """All money of the round goes back to the pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundWork:
    """Work on a large round, done in chunks of lines and in the order of ``id``. ``after_line`` is the last line done.
    ``budget`` is the money for it in the round's reserve. ``waiting``: the budget did not cover a line, and all later
    lines wait. ``fees``: the fees are taken when the work ends. ``announced``: an event about the prizes was emitted
    before. ``head`` is the settlement of a correction, ``campaign`` the campaign of the round.
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
    announced: bool = False
    head: Settlement | None = None
    campaign: UUID | None = None


class Reward(NamedTuple):
    """One player's prize of one round. ``note`` is a stable code that says why the prize does not move on; for an unfunded
    prize it is the rule that will hold it. ``short`` is the part of the amount that waits for money although the round is
    booked. ``version`` is the settlement version of its line. ``payout_ordinal`` counts its direct payouts, and
    ``payout_id`` is the last of them. A prize that a correction removed has a line number below zero.
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
        """The part of its amount that is in a wallet, to be claimed, or held in the reserve."""
        return self.line.amount - self.short if self.state in BOOKED_REWARDS else 0

    @property
    def next_payout_ordinal(self) -> int:
        """The number of its next direct payout."""
        return 1 if self.payout_id is None else self.payout_ordinal + 1

    @property
    def missing(self) -> int:
        """The amount that it still has to get: 0 once it was reversed, expired or was rejected."""
        if self.line.line < 0 or self.state in ENDED_REWARDS:
            return 0
        return self.line.amount - self.booked


class RewardEventKind(StrEnum):
    """What an event reports about prizes; the values are those in the event's type."""

    ALLOCATED = "allocated"
    """A settled part, or the changed lines of a corrected one."""
    RELEASED = "released"
    """Prizes were funded, became final, or were released by an operator."""
    HELD = "held"
    """A rule holds the prizes; the note of each names the rule."""
    REVERSED = "reversed"
    """A correction, a void or an operator's refusal took the stated amount back from each prize."""
    EXPIRED = "expired"
    """The prizes were not claimed in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardsMoved(Event):
    """Prizes of one part of a round changed."""

    settlement: Settlement
    part: int
    rewards: Sequence[Reward]
    what: RewardEventKind
    version: int
    cause: str | None = None


class PrizePosition(NamedTuple):
    """The position of a prize in a listing: by the time at which its round was settled, then by round and line."""

    settled_at: datetime
    round_id: UUID
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardView:
    """A prize and the parts of its ``amount``: ``credited`` to winnings; ``waiting``, which means pending, to be claimed
    or held; ``short``, which means that it waits for money. Their sum is the amount; all three are zero once the prize was
    reversed, expired or was rejected. ``owed`` is what its player still owes after a correction.
    """

    id: UUID
    round_id: UUID
    line: int
    player: str
    place: int
    asset: str
    amount: int
    credited: int
    waiting: int
    short: int
    owed: int
    state: RewardState
    note: str | None
    payout_id: UUID | None
    transfer_id: UUID | None
    correlation_id: str
    settled_at: datetime
