"""A batch of payouts, and what a person may decide about it as a whole."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.errors import CodedError
from prizewire_payouts.payouts.domain.model import Payout

HELD_BY_GATE: Final = "held_by_gate"
"""Nothing was decided about a line: a gate holds it, and the request does not name it."""


class BatchRefused(CodedError):
    """A batch is not decided as a whole: ``batch_unknown``, ``batch_incomplete``, ``batch_inconsistent``, ``batch_differs`` or
    ``payout_not_in_batch``.
    """


class LineOutcome(StrEnum):
    """What a decision about a batch did to one line."""

    APPROVED = "approved"
    NEEDS_ANOTHER = "needs_another"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch: how many lines it has, and who requested it. ``requested_at`` is the time at which its first line arrived."""

    batch_id: UUID
    lines: int
    filed_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSummary:
    """What arrived of a batch. ``arrived`` counts its different lines; ``consistent`` says that no line came twice and that all lines
    name the same number of lines. ``totals`` are the sums of all payouts that arrived, whatever their state. ``holds`` counts held
    payouts by the reason, ``gates`` by each gate that holds them, ``approvers`` payouts that a person has approved under their
    present hold.
    """

    batch: Batch
    arrived: int
    consistent: bool
    totals: Mapping[str, Amount]
    states: Mapping[str, int]
    holds: Mapping[str, int]
    gates: Mapping[str, int]
    approvers: Mapping[str, int]

    @property
    def complete(self) -> bool:
        """Whether all lines arrived."""
        return self.arrived >= self.batch.lines


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldNotes:
    """Who has approved a payout under its present hold, and the gates that hold it."""

    approvers: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDecision:
    """A line after the decision: ``outcome``, or ``code`` and ``detail`` where nothing was decided. ``decided_now`` is False where the
    same person had decided it before.
    """

    payout: Payout
    approvers: tuple[str, ...]
    outcome: LineOutcome | None = None
    code: str | None = None
    detail: str | None = None
    gates: tuple[str, ...] = ()
    decided_now: bool = False


def check_seen(
    *,
    summary: BatchSummary,
    lines: int,
    totals: Mapping[str, Amount],
    named: Collection[UUID],
    members: Collection[UUID],
) -> None:
    """Whether the whole batch is there, and is the one that the person saw. ``named`` are payouts that the request names, ``members``
    those of them that are in the batch.

    Raises:
        BatchRefused: ``batch_incomplete``, ``batch_inconsistent``, ``batch_differs`` or ``payout_not_in_batch``.
    """
    batch = summary.batch
    if not summary.complete:
        raise BatchRefused(
            "batch_incomplete",
            f"{summary.arrived} of {batch.lines} lines arrived: wait until all did; `GET /api/admin/payouts/batches/{{id}}` counts them",
        )
    if not summary.consistent:
        raise BatchRefused(
            "batch_inconsistent",
            "a line arrived twice, or lines name different numbers of lines: decide about each payout by itself, and run `prizewire verify`",
        )
    if lines != batch.lines or dict(totals) != dict(summary.totals):
        found = ", ".join(f"{amount.to_wire()} {code}" for code, amount in sorted(summary.totals.items()))
        raise BatchRefused(
            "batch_differs",
            f"the batch has {batch.lines} lines over {found}, and you name others: look at the batch again",
        )
    for payout_id in named:
        if payout_id not in members:
            raise BatchRefused("payout_not_in_batch", f"payout {payout_id} is not in this batch")
