"""Files of operators' payouts: many lines out of one funding account, which another person approves together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from prizewire_rewards.payouts.domain.funding import Destination
from prizewire_rewards.payouts.domain.inline import InlineDestination
from prizewire_rewards.payouts.domain.model import Payout, PayoutState

LINES_MAX: Final = 2_000
"""The most lines of one file."""


class LineState(StrEnum):
    """The result of a line."""

    ACCEPTED = "accepted"
    """A payout is filed for it, or in a dry run would be."""
    REPEATED = "repeated"
    """The account pays, or has paid, the same amount to the same destination under its reference."""
    REFUSED = "refused"
    """It has a code and a sentence. No line of its file is filed."""


class Problem(NamedTuple):
    """Why a line is refused."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledLine:
    """A line as it was read: its place in the file, counted from 1, and either amount (minor units) and destination, or the
    problem that it has.
    """

    line: int
    reference: str
    amount: int = 0
    destination: Destination | InlineDestination | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedLine:
    """A line with its result. ``payout_id`` is set for an accepted line that was filed, and for a repeated one; ``batch_id`` too, where that
    payout is of a batch.
    """

    filed: FiledLine
    state: LineState
    problem: Problem | None = None
    payout_id: UUID | None = None
    batch_id: UUID | None = None

    def with_payout(self, payout_id: UUID, *, batch_id: UUID) -> "JudgedLine":
        """The same line, once its payout is filed with this batch."""
        return replace(self, payout_id=payout_id, batch_id=batch_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutBatch:
    """The lines of one file that were filed together: how many, and their sum in minor units of the account's asset."""

    id: UUID
    funding_account: str
    reason: str
    filed_by: str
    lines: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """A batch with the number of its payouts in each state."""

    batch: PayoutBatch
    asset: str
    filed_at: datetime
    states: dict[PayoutState, int]


def pays_the_same(line: FiledLine, payout: Payout) -> bool:
    """Whether a payout has the amount and the destination of a line. A destination on a chain is compared with the intent, any
    other by the keyed digest of its details.
    """
    if payout.amount != line.amount:
        return False
    to = line.destination
    if isinstance(to, InlineDestination) and to.address is None:
        return payout.inline is not None and payout.inline.mark == to.terms.mark
    assert to is not None
    way = payout.intent["allowed"][0]
    return (way["destination"], way["memo"]) == (to.address, to.memo)


def batch_of(lines: Sequence[JudgedLine]) -> UUID | None:
    """The batch that has the payout of every one of these lines; None where there is no such batch."""
    batches = {one.batch_id for one in lines}
    return batches.pop() if len(batches) == 1 else None


def total_of(lines: Sequence[JudgedLine], state: LineState) -> tuple[int, int]:
    """How many lines are in this state, and the sum of their amounts."""
    amounts = [one.filed.amount for one in lines if one.state is state]
    return len(amounts), sum(amounts)
