"""One person's decision about many lines of a batch. Each payout keeps its own rules."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from prizewire_payouts.approval.domain import REJECTED_BY_APPROVER, ApprovalPolicy, ApprovalRefused
from prizewire_payouts.approval.handlers import give_approval, give_rejection
from prizewire_payouts.approval.ports import Approvals
from prizewire_payouts.batches.domain import HELD_BY_GATE, HoldNotes, LineDecision, LineOutcome
from prizewire_payouts.batches.ports import Holds
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.payouts.ports import Payouts
from prizewire_payouts.rails.ports import Rail

_REJECTED = frozenset({PayoutState.CLOSING_REJECTED, PayoutState.REJECTED})


async def approve_lines(
    payouts: Payouts,
    approvals: Approvals,
    holds: Holds,
    *,
    ids: Sequence[UUID],
    also: Collection[UUID],
    approver: str,
    note: str | None,
    policy: ApprovalPolicy,
    rails: Sequence[Rail],
    now: datetime,
) -> list[LineDecision]:
    """One person's approval of these payouts, in their order. A line that a gate holds is approved only if ``also`` names it. A line
    that this person approved before has the same outcome again, so that a repeated request changes nothing.
    """
    changes, notes = await _lock(payouts, holds, ids)
    decided: list[LineDecision] = []
    for payout_id in ids:
        change, beside = changes[payout_id], notes[payout_id]
        held = change.payout.state is PayoutState.HELD
        if approver in beside.approvers:
            decided.append(_approved(change, beside.approvers, beside, now=False))
        elif held and beside.gates and payout_id not in also:
            detail = f"held by {', '.join(beside.gates)}: find out why, then name the payout in `also` or approve it by itself"
            decided.append(_refused(change, beside, HELD_BY_GATE, detail))
        else:
            try:
                given = await give_approval(
                    change,
                    approvals,
                    already=beside.approvers,
                    approver=approver,
                    note=note,
                    policy=policy,
                    rails=rails,
                    now=now,
                )
            except ApprovalRefused as error:
                decided.append(_refused(change, beside, error.code, str(error)))
            else:
                decided.append(_approved(change, given.approvers, beside, now=True))
    await payouts.save()
    return decided


async def reject_lines(
    payouts: Payouts, holds: Holds, *, ids: Sequence[UUID], approver: str, reason: str, now: datetime
) -> list[LineDecision]:
    """One person's rejection of these payouts, in their order. A line that was rejected before has the same outcome again."""
    changes, notes = await _lock(payouts, holds, ids)
    decided: list[LineDecision] = []
    for payout_id in ids:
        change, beside = changes[payout_id], notes[payout_id]
        if change.payout.state in _REJECTED and change.payout.code == REJECTED_BY_APPROVER:
            decided.append(_line(change, (), beside, LineOutcome.REJECTED, now=False))
            continue
        try:
            give_rejection(change, approver=approver, reason=reason, now=now)
        except ApprovalRefused as error:
            decided.append(_refused(change, beside, error.code, str(error)))
        else:
            decided.append(_line(change, (), beside, LineOutcome.REJECTED, now=True))
    await payouts.save()
    return decided


async def _lock(
    payouts: Payouts, holds: Holds, ids: Sequence[UUID]
) -> tuple[dict[UUID, Change], Mapping[UUID, HoldNotes]]:
    changes = await payouts.lock(ids)
    return changes, await holds.notes([change.payout for change in changes.values()])


def _approved(change: Change, approvers: tuple[str, ...], beside: HoldNotes, *, now: bool) -> LineDecision:
    waits = change.payout.state is PayoutState.HELD
    outcome = LineOutcome.NEEDS_ANOTHER if waits else LineOutcome.APPROVED
    return _line(change, approvers, beside, outcome, now=now)


def _line(
    change: Change, approvers: tuple[str, ...], beside: HoldNotes, outcome: LineOutcome, *, now: bool
) -> LineDecision:
    return LineDecision(
        payout=change.payout, approvers=approvers, outcome=outcome, gates=beside.gates, decided_now=now
    )


def _refused(change: Change, beside: HoldNotes, code: str, detail: str) -> LineDecision:
    return LineDecision(
        payout=change.payout, approvers=beside.approvers, code=code, detail=detail, gates=beside.gates
    )
