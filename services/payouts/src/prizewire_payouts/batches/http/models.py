"""Bodies and answers of routes about batches."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_contracts import text
from prizewire_payouts.batches.domain import BatchSummary, HoldNotes, LineDecision, LineOutcome
from prizewire_payouts.http import AssetCode, DecimalAmount, PersonName
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import PayoutState

ALSO_MAX: Final = 1_000
_Lines = Annotated[int, Field(ge=1, le=2**31 - 1, description="The lines that you saw.", examples=[250])]
_Totals = Annotated[
    dict[Annotated[str, Field(pattern="^[A-Z0-9]{1,12}$")], DecimalAmount],
    Field(
        min_length=1,
        max_length=100,
        description="The sums that you saw, by asset.",
        examples=[{"EURC": "12500.00"}],
    ),
]


class BatchSeen(BaseModel):
    """The batch as the person saw it, who decides about it."""

    model_config = ConfigDict(extra="forbid")

    lines: _Lines
    totals: _Totals


class BatchApproval(BatchSeen):
    """One person's approval of a batch."""

    note: text.Reason | None = Field(None, examples=["compared with the sponsor's list"])
    also: list[UUID] = Field(
        default_factory=list,
        max_length=ALSO_MAX,
        description="Payouts of the batch that a gate holds and that you approve too.",
        examples=[[]],
    )


class BatchRejection(BatchSeen):
    """One person's rejection of a batch."""

    reason: text.Reason = Field(examples=["the list was sent twice"])


class TotalAnswer(AnswerModel):
    """The sum of a batch in one asset."""

    asset: AssetCode
    amount: DecimalAmount


class CountAnswer(AnswerModel):
    """How many payouts of a batch there are of one kind."""

    name: Annotated[
        str, Field(description="A state, the code of a hold, a gate, or a person.", examples=["held"])
    ]
    payouts: Annotated[int, Field(examples=[250])]


class BatchAnswer(AnswerModel):
    """A batch, and what arrived of it."""

    batch_id: Id
    lines: Annotated[int, Field(description="The lines that it has.", examples=[250])]
    arrived: Annotated[
        int,
        Field(
            description="The lines whose payouts arrived. With all of them it can be decided about.",
            examples=[250],
        ),
    ]
    consistent: Annotated[
        bool,
        Field(
            description="False where a line arrived twice, or lines name different numbers of lines.",
            examples=[True],
        ),
    ]
    filed_by: PersonName
    requested_at: Moment
    totals: Annotated[list[TotalAnswer], Field(description="The sums of all lines that arrived.")]
    states: Annotated[list[CountAnswer], Field(description="Its payouts by state.")]
    holds: Annotated[list[CountAnswer], Field(description="Its held payouts by the code of their hold.")]
    gates: Annotated[list[CountAnswer], Field(description="Its held payouts by each gate that holds them.")]
    approvers: Annotated[
        list[CountAnswer], Field(description="Who approved how many of them under their present hold.")
    ]


class BatchLineAnswer(AnswerModel):
    """A payout of a batch."""

    line: Annotated[int, Field(description="From 1.", examples=[1])]
    payout_id: Id
    player: Annotated[
        str | None, Field(description="Who is paid. Null for an operator's payout.", examples=[None])
    ]
    asset: AssetCode
    pay_amount: DecimalAmount
    method_type: Annotated[str, Field(examples=["bank"])]
    state: Annotated[PayoutState, Field(examples=["held"])]
    hold: Annotated[
        str | None, Field(description="Why it is held, waits or ended.", examples=["filed_by_operator"])
    ]
    gates: Annotated[list[str], Field(description="The gates that hold it.", examples=[[]])]
    approvers: Annotated[
        list[str], Field(description="Who has approved it under its present hold.", examples=[["pat"]])
    ]
    approvers_needed: Annotated[int, Field(description="How many persons must approve it.", examples=[1])]


class DecidedLineAnswer(BatchLineAnswer):
    """A payout of a batch after a decision: `outcome`, or `code` and `detail` where nothing was decided about it."""

    outcome: Annotated[
        LineOutcome | None,
        Field(
            description="`approved`, `needs_another` where a second person must approve it, or `rejected`. Null where nothing was decided.",
            examples=["approved"],
        ),
    ]
    code: Annotated[
        str | None,
        Field(
            description="Why nothing was decided: `held_by_gate`, or as the route for one payout answers it.",
            examples=[None],
        ),
    ]
    detail: Annotated[str | None, Field(description="The same as a sentence.", examples=[None])]


class BatchDecisionAnswer(AnswerModel):
    """What was decided about a batch, line by line."""

    batch_id: Id
    counts: Annotated[
        list[CountAnswer],
        Field(description="Lines by outcome, or by the code of those nothing was decided about."),
    ]
    items: Annotated[list[DecidedLineAnswer], Field(description="One for each line, in their order.")]


def batch_answer(summary: BatchSummary) -> BatchAnswer:
    """A batch, and what arrived of it."""
    batch = summary.batch
    return BatchAnswer(
        batch_id=batch.batch_id,
        lines=batch.lines,
        arrived=summary.arrived,
        consistent=summary.consistent,
        filed_by=batch.filed_by,
        requested_at=batch.requested_at,
        totals=[
            TotalAnswer(asset=code, amount=amount.to_wire())
            for code, amount in sorted(summary.totals.items())
        ],
        states=count_answers(summary.states),
        holds=count_answers(summary.holds),
        gates=count_answers(summary.gates),
        approvers=count_answers(summary.approvers),
    )


def count_answers(counts: Mapping[str, int]) -> list[CountAnswer]:
    """Counts by name, in the order of the names."""
    return [CountAnswer(name=name, payouts=count) for name, count in sorted(counts.items())]


def line_number(payout: Payout) -> int:
    """The line of a payout in its batch."""
    assert payout.batch is not None
    return payout.batch.line


def line_answer(payout: Payout, notes: HoldNotes) -> BatchLineAnswer:
    """A payout of a batch."""
    return BatchLineAnswer(**_members(payout, notes))


def decided_answer(decision: LineDecision) -> DecidedLineAnswer:
    """A payout of a batch after a decision."""
    notes = HoldNotes(approvers=decision.approvers, gates=decision.gates)
    return DecidedLineAnswer(
        **_members(decision.payout, notes),
        outcome=decision.outcome,
        code=decision.code,
        detail=decision.detail,
    )


def _members(payout: Payout, notes: HoldNotes) -> dict[str, Any]:
    return {
        "line": line_number(payout),
        "payout_id": payout.payout_id,
        "player": payout.player,
        "asset": payout.amount.asset.code,
        "pay_amount": payout.amount.to_wire(),
        "method_type": payout.method_type,
        "state": payout.state,
        "hold": payout.code,
        "gates": list(notes.gates),
        "approvers": list(notes.approvers),
        "approvers_needed": payout.approvers_needed,
    }
