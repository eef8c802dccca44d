"""What people decide: approve, reject, cancel. None of them may be a party to the payout."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.approval.domain import ApprovalPolicy
from prizewire_payouts.errors import ON_ITS_WAY, PayoutNotFound
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.steps import approve, ask_cancel, check_approver, reject
from prizewire_payouts.payouts.ports import Rail, Store
from prizewire_payouts.rails.handlers import route


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How a payout stands after somebody decided: who has approved so far, and how many must."""

    payout: Payout
    approvers: tuple[str, ...]


async def approve_payout(
    store: Store,
    *,
    payout_id: UUID,
    approver: str,
    note: str | None,
    policy: ApprovalPolicy,
    rails: Sequence[Rail],
    now: datetime,
) -> Decision:
    """Count one approval; with the last one needed, the payout may go.

    Raises:
        PayoutNotFound: there is none.
        ApprovalRefused: see `check_approver`.
    """
    change = await _locked(store, payout_id)
    payout = change.payout
    already = await store.approvers(payout)
    check_approver(payout=payout, approver=approver, already=already, now=now)
    await store.add_approval(payout=payout, approver=approver, note=note, now=now)
    approvers = (*already, approver)
    if len(approvers) >= payout.approvers_needed:
        cause = f"approval:{approver}"
        approve(change=change, policy=policy, approvers=approvers, cause=cause, actor=approver, now=now)
        route(change=change, rails=rails, cause=cause, now=now)
        await store.save([change])
    return Decision(payout=change.payout, approvers=approvers)


async def reject_payout(
    store: Store, *, payout_id: UUID, approver: str, reason: str, now: datetime
) -> Decision:
    """Say no to a payout that waits; where the signer could have signed, it ends once the signer has closed it.

    Raises:
        PayoutNotFound: there is none.
        ApprovalRefused: see `prizewire_payouts.payouts.domain.steps.reject`.
    """
    change = await _locked(store, payout_id)
    reject(change=change, approver=approver, reason=reason, cause=f"rejection:{approver}", now=now)
    await store.save([change])
    return Decision(payout=change.payout, approvers=())


async def cancel_payout(store: Store, *, payout_id: UUID, by: str, reason: str, now: datetime) -> Decision:
    """Ask for a cancel as an operator: at once where nothing was sent, else once the rail has proved that nothing moved.

    Raises:
        PayoutNotFound: there is none.
        CancelRefused: it has ended.
    """
    change = await _locked(store, payout_id)
    ask_cancel(
        change=change,
        by=by,
        code=PayoutCode.CANCELLED_BY_OPERATOR,
        reason=reason,
        cause=f"cancel:{by}",
        now=now,
    )
    if change.touched:
        await store.save([change])
    return Decision(payout=change.payout, approvers=())


async def _locked(store: Store, payout_id: UUID) -> Change:
    payout = (await store.lock_payouts([payout_id])).get(payout_id)
    if payout is None:
        raise PayoutNotFound(f"there is no payout {payout_id}{ON_ITS_WAY}")
    return Change(payout)
