"""Decisions on payouts: of the policy on new ones, of approvers on held ones, of operators on pauses. No party decides."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from prizewire_money import Amount
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
    reject,
)
from prizewire_payouts.approval.ports import Approvals, Pauses
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.handlers.requests import route
from prizewire_payouts.payouts.ports import Payouts
from prizewire_payouts.rails.ports import Rail


class PolicyAdmission:
    """`prizewire_payouts.payouts.ports.Admission` by limits for a payout and for a day."""

    def __init__(self, approvals: Approvals, *, policy: ApprovalPolicy) -> None:
        self._approvals = approvals
        self._policy = policy
        self._allowance = DayAllowance(most={}, used={})
        self._day: date | None = None

    async def prepare(self, amounts: Iterable[Amount], *, now: datetime) -> None:
        """Lock the day's use of the assets in which one of these amounts may be approved without a person."""
        assets = {
            amount.asset.code: amount.asset
            for amount in amounts
            if self._policy.decide(amount=amount) is None
        }
        self._day = day_of(now)
        used = await self._approvals.lock_automatic_use(day=self._day, assets=assets.values())
        self._allowance = DayAllowance(most=self._policy.automatic_in_day, used=used)

    def decide(self, *, change: Change, cause: str, now: datetime) -> None:
        """See the port."""
        decide_by_policy(change=change, policy=self._policy, allowance=self._allowance, cause=cause, now=now)

    async def save(self) -> None:
        """See the port."""
        if self._allowance.taken:
            assert self._day is not None
            await self._approvals.add_automatic_use(day=self._day, taken=self._allowance.taken)


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
    payout = change.payout
    already = await approvals.approvers(payout)
    check_approver(payout=payout, approver=approver, already=already, now=now)
    await approvals.add(payout=payout, approver=approver, note=note, now=now)
    approvers = (*already, approver)
    if len(approvers) >= payout.approvers_needed:
        cause = f"approval:{approver}"
        approve(change=change, policy=policy, approvers=approvers, cause=cause, actor=approver, now=now)
        route(change=change, rails=rails, cause=cause, now=now)
        await payouts.save()
    return Decision(payout=change.payout, approvers=approvers)


async def reject_payout(
    payouts: Payouts, *, payout_id: UUID, approver: str, reason: str, now: datetime
) -> Decision:
    """Reject a payout before anything was sent. Where the signer could have signed, it ends once the signer has closed it.

    Raises:
        PayoutNotFound: there is none.
        ApprovalRefused: see `prizewire_payouts.approval.domain.reject`.
    """
    change = await payouts.lock_one(payout_id)
    reject(change=change, approver=approver, reason=reason, cause=f"rejection:{approver}", now=now)
    await payouts.save()
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
    """Pause new payments of this rail, asset or campaign. A pause that is in force already is not changed. ``known`` are
    the rails and assets that exist; campaigns are known to rewards only, by a UUID.

    Raises:
        PauseRefused: ``pause_value_unknown``.
    """
    value = _known_value(scope, value, known)
    for one in await pauses.in_force():
        if (one.scope, one.value) == (scope, value):
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
    try:
        return str(UUID(value))
    except ValueError:
        raise PauseRefused("pause_value_unknown", f"{value} is no campaign's id, which is a UUID") from None


async def resume(pauses: Pauses, *, pause_id: UUID, by: str, now: datetime) -> Pause:
    """Lift a pause.

    Raises:
        PauseRefused: ``pause_not_found``, or it was lifted before.
    """
    for one in await pauses.in_force():
        if one.pause_id == pause_id:
            lifted = replace(one, resumed_by=by, resumed_at=now)
            await pauses.lift(lifted)
            return lifted
    raise PauseRefused(
        "pause_not_found", "there is no pause of this id in force: see GET /api/admin/payouts/pauses"
    )
