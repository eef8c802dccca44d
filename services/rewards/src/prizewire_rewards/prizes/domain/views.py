"""Prizes as answers show them."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from prizewire_rewards.prizes.domain.states import RewardState


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
