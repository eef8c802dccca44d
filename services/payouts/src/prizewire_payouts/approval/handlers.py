"""Decisions on payouts: of the policy on new ones, of approvers on held ones, of operators on pauses. No party decides."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.approval.domain import (
    ApprovalPolicy,
    DayAllowance,
    Pause,
    PauseRefused,
    PauseScope,
    approve,
    check_approver,
    day_of,
    decide_by_policy,
    hold_again,
    reject,
)
from prizewire_payouts.approval.ports import Approvals, Pauses
from prizewire_payouts.gates.domain import hold_of
from prizewire_payouts.gates.handlers import Gates
from prizewire_payouts.methods.domain import LOOK_AGAIN
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.waiting import wait_briefly
from prizewire_payouts.payouts.handlers.requests import route
from prizewire_payouts.payouts.ports import Payouts
from prizewire_payouts.rails.ports import Rail


class PolicyAdmission:
    """`prizewire_payouts.payouts.ports.Admission` by gates, and by limits for a payout and for a day."""

    def __init__(self, approvals: Approvals, gates: Gates, *, policy: ApprovalPolicy) -> None:
        self._approvals = approvals
        self._gates = gates
        self._policy = policy
        self._allowance = DayAllowance(most={}, used={})
        self._day: date | None = None

    async def prepare(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Lock the day's use of the assets in which one of these payouts may be approved without a person."""
        assets = {
            payout.amount.asset.code: payout.amount.asset
            for payout in payouts
            if self._policy.automatic_somewhere(amount=payout.amount)
        }
        self._day = day_of(now)
        used = await self._approvals.lock_automatic_use(day=self._day, assets=assets.values())
        self._allowance = DayAllowance(most=self._policy.automatic_in_day, used=used)
        await self._gates.prepare(payouts)

    def decide(self, *, change: Change, cause: str, now: datetime) -> None:
        """See the port."""
        findings = self._gates.judge_new(payout=change.payout, now=now)
        decide_by_policy(
            change=change,
            policy=self._policy,
            allowance=self._allowance,
            gated=hold_of(findings=findings, limits=self._gates.limits),
            cause=cause,
            now=now,
        )
        self._gates.held(payout=change.payout, findings=findings)

    async def save(self, *, now: datetime) -> None:
        """See the port."""
        if self._allowance.taken:
            assert self._day is not None
            await self._approvals.add_automatic_use(day=self._day, taken=self._allowance.taken)
        await self._gates.save(now=now)


class PolicyClearance:
    """`prizewire_payouts.payouts.ports.Clearance` by gates, and by the automatic limit of the rail."""

    def __init__(self, gates: Gates, *, policy: ApprovalPolicy) -> None:
        self._gates = gates
        self._policy = policy

    async def prepare(self, payouts: Sequence[Payout]) -> None:
        """See the port."""
        await self._gates.prepare(payouts)

    def may_be_sent(self, *, change: Change, cause: str, now: datetime) -> bool:
        """See the port."""
        findings = self._gates.judge_again(payout=change.payout, now=now)
        gated = hold_of(findings=findings, limits=self._gates.limits)
        if hold_again(change=change, policy=self._policy, gated=gated, cause=cause, now=now):
            self._gates.held(payout=change.payout, findings=findings)
            return False
        if self._gates.lacks_screening(payout=change.payout, now=now):
            wait_briefly(change=change, code=PayoutCode.SCREENING_PENDING, until=now + LOOK_AGAIN)
            return False
        return True

    def begun(self, *, payout: Payout, now: datetime) -> None:
        """See the port."""
        self._gates.sent(payout=payout, now=now)

    async def save(self, *, now: datetime) -> None:
        """See the port."""
        await self._gates.save(now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A payout after a person's decision, and its approvers so far."""

    payout: Payout
    approvers: tuple[str, ...]


async def approve_payout(
    payouts: Payouts,
    approvals: Approvals,
    *,
    payout_id: UUID,
    approver: str,
    note: str | None,
    policy: ApprovalPolicy,
    rails: Sequence[Rail],
    now: datetime,
) -> Decision:
    """Store one approval. With the last one that is needed the payout is approved and routed.

    Raises:
        PayoutNotFound: there is none.
        ApprovalRefused: see `check_approver`.
    """
    change = await payouts.lock_one(payout_id)
    already = await approvals.approvers(change.payout)
    decision = await give_approval(
        change,
        approvals,
        already=already,
        approver=approver,
        note=note,
        policy=policy,
        rails=rails,
        now=now,
    )
    await payouts.save()
    return decision


async def give_approval(
    change: Change,
    approvals: Approvals,
    *,
    already: Sequence[str],
    approver: str,
    note: str | None,
    policy: ApprovalPolicy,
    rails: Sequence[Rail],
    now: datetime,
) -> Decision:
    """Store one approval of a locked payout, beside those ``already`` given under its hold. The caller saves the payout.

    Raises:
        ApprovalRefused: see `check_approver`; nothing is changed.
    """
    payout = change.payout
    check_approver(payout=payout, approver=approver, already=already, now=now)
    await approvals.add(payout=payout, approver=approver, note=note, now=now)
    approvers = (*already, approver)
    if len(approvers) >= payout.approvers_needed:
        cause = f"approval:{approver}"
        approve(change=change, policy=policy, approvers=approvers, cause=cause, actor=approver, now=now)
        route(change=change, rails=rails, cause=cause, now=now)
    return Decision(payout=change.payout, approvers=approvers)


async def reject_payout(
    payouts: Payouts, *, payout_id: UUID, approver: str, reason: str, now: datetime
) -> Decision:
    """Reject a payout before anything was sent. Where the signer could have signed, it ends once the signer has closed it.

    Raises:
        PayoutNotFound: there is none.
        ApprovalRefused: see `prizewire_payouts.approval.domain.reject`.
    """
    decision = give_rejection(await payouts.lock_one(payout_id), approver=approver, reason=reason, now=now)
    await payouts.save()
    return decision


def give_rejection(change: Change, *, approver: str, reason: str, now: datetime) -> Decision:
    """Reject a locked payout. The caller saves it.

    Raises:
        ApprovalRefused: see `prizewire_payouts.approval.domain.reject`; nothing is changed.
    """
    reject(change=change, approver=approver, reason=reason, cause=f"rejection:{approver}", now=now)
    return Decision(payout=change.payout, approvers=())


async def pause(
    pauses: Pauses,
    *,
    pause_id: UUID,
    scope: PauseScope,
    value: str,
    reason: str,
    by: str,
    known: Mapping[PauseScope, Collection[str]],
    now: datetime,
) -> Pause:
    """Pause new payments of this rail, asset, campaign, competition or player. Each person has a pause of their own: the one that they
    set before and is in force is not changed, and those of others are not looked at. ``known`` are the rails and assets that exist; campaigns, competitions and players are known to other
    services only, a campaign by a UUID.

    Raises:
        PauseRefused: ``pause_value_unknown``.
    """
    value = _known_value(scope, value, known)
    for one in await pauses.in_force():
        if (one.scope, one.value, one.paused_by) == (scope, value, by):
            return one
    new = Pause(pause_id=pause_id, scope=scope, value=value, reason=reason, paused_by=by, paused_at=now)
    await pauses.add(new)
    return new


def _known_value(scope: PauseScope, value: str, known: Mapping[PauseScope, Collection[str]]) -> str:
    """The value of a pause in the form that payments use. An unknown rail is refused: its pause would have no effect."""
    if scope in known:
        if value in known[scope]:
            return value
        there = ", ".join(sorted(known[scope]))
        raise PauseRefused("pause_value_unknown", f"there is no {scope} {value}: use one of {there}")
    if scope in (PauseScope.COMPETITION, PauseScope.PLAYER):
        return value
    try:
        return str(UUID(value))
    except ValueError:
        raise PauseRefused("pause_value_unknown", f"{value} is no campaign's id, which is a UUID") from None


async def resume(pauses: Pauses, *, pause_id: UUID, by: str, by_another: bool, now: datetime) -> Pause:
    """Lift a pause. ``by_another`` says that the person who set it may not lift it.

    Raises:
        PauseRefused: ``pause_not_found``, or it was lifted before; ``same_person``.
    """
    for one in await pauses.in_force():
        if one.pause_id == pause_id:
            if by_another and one.paused_by == by:
                detail = f"{by} set this pause, and PAYOUTS_RESUME_BY_ANOTHER asks for another person: ask a colleague to lift it"
                raise PauseRefused("same_person", detail)
            lifted = replace(one, resumed_by=by, resumed_at=now)
            await pauses.lift(lifted)
            return lifted
    raise PauseRefused(
        "pause_not_found", "there is no pause of this id in force: see GET /api/admin/payouts/pauses"
    )
