"""The decisions on one payout: pure functions that take a `Change` further."""

from collections.abc import Collection
from datetime import datetime

from prizewire_payouts.approval.domain import ABOVE_DAY_LIMIT, ApprovalPolicy, DayAllowance, Hold
from prizewire_payouts.errors import ApprovalRefused, CancelRefused
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.events import Approved, CloseAsked, Ended, Held, Paid
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.parties import first_role
from prizewire_payouts.payouts.domain.states import CLOSING, FINAL, PayoutState, final_of

INTENT_EXPIRED = "intent_expired"
"""The reason on ``payout.held`` that asks rewards to renew the intent."""
REJECTED_BY_APPROVER = "rejected_by_approver"

_NO_ATTEMPT_OPEN = frozenset({PayoutState.REQUESTED, PayoutState.HELD, PayoutState.APPROVED})
_ATTEMPT_OPEN = frozenset({PayoutState.SUBMITTING, PayoutState.PENDING, PayoutState.UNKNOWN})


def first_decision(
    *, change: Change, policy: ApprovalPolicy, allowance: DayAllowance, cause: str, now: datetime
) -> None:
    """Approve a fresh payout by policy, or hold it for approvers or for a living intent. Only what is approved here is
    taken from the day's allowance.
    """
    payout = change.payout
    terms = policy.decide(
        amount=payout.amount,
        by_operator=payout.player is None,
        registered_by_staff=payout.registered_by_staff,
        by_one_person=bool(payout.one_person),
    )
    if not payout.intent_alive(now=now):
        terms = Hold(reason=INTENT_EXPIRED, approvers=terms.approvers if terms else 1)
    if terms is None and not allowance.take(amount=payout.amount):
        terms = Hold(reason=ABOVE_DAY_LIMIT, approvers=policy.approvers(amount=payout.amount))
    if terms is None:
        approve(change=change, policy=policy, approvers=(), cause=cause, actor="policy", now=now)
    else:
        hold(change=change, terms=terms, cause=cause, now=now)


def hold(*, change: Change, terms: Hold, cause: str, now: datetime) -> None:
    """Wait for approvers. Earlier approvals do not count for a new hold.

    Raises:
        IllegalTransition: an attempt is open, or the payout has ended.
    """
    change.move(
        to=PayoutState.HELD,
        cause=cause,
        actor="policy",
        code=terms.reason,
        now=now,
        hold_no=change.payout.hold_no + 1,
        approvers_needed=terms.approvers,
        expiry_told=terms.reason == INTENT_EXPIRED,
        due_at=None,
    )
    change.emit(event=Held(reason=terms.reason), cause=cause, now=now)


def tell_expiry(*, change: Change, cause: str, now: datetime) -> None:
    """The intent has run out before anything was sent: hold the payout and ask rewards for a renewal, once.

    A payout that is held already stays so, under the same hold: its approvals still count.
    """
    payout = change.payout
    if payout.state is PayoutState.APPROVED:
        needed = max(payout.approvers_needed, 1)
        hold(change=change, terms=Hold(reason=INTENT_EXPIRED, approvers=needed), cause=cause, now=now)
    elif payout.state is PayoutState.HELD and not payout.expiry_told:
        change.set(expiry_told=True)
        change.emit(event=Held(reason=INTENT_EXPIRED), cause=cause, now=now)


def approve(
    *,
    change: Change,
    policy: ApprovalPolicy,
    approvers: tuple[str, ...],
    cause: str,
    actor: str,
    now: datetime,
) -> None:
    """Let the payout go to a rail, at once.

    Raises:
        IllegalTransition: it is neither requested nor held.
    """
    change.move(to=PayoutState.APPROVED, cause=cause, actor=actor, now=now, due_at=now, reason=None)
    change.emit(event=Approved(policy_version=policy.version, approvers=approvers), cause=cause, now=now)


def check_approver(*, payout: Payout, approver: str, already: Collection[str], now: datetime) -> None:
    """Whether this person may approve this payout now.

    Raises:
        ApprovalRefused: ``not_held``, ``approver_is_…`` with the role of a party, ``already_approved`` or
            ``intent_expired``.
    """
    if payout.state is not PayoutState.HELD:
        raise ApprovalRefused("not_held", f"the payout is {payout.state}, it waits for no approval")
    _check_no_party(payout, approver)
    if approver in already:
        raise ApprovalRefused("already_approved", "a second approval must come from another person")
    if not payout.intent_alive(now=now):
        raise ApprovalRefused("intent_expired", "the intent has expired; approve once rewards has renewed it")


def _check_no_party(payout: Payout, approver: str) -> None:
    role = first_role(payout.parties, subject=approver)
    if role is not None:
        detail = f"{approver} is the {role.replace('_', ' ')} of this payout; somebody who is no party of it decides"
        raise ApprovalRefused(f"approver_is_{role}", detail)


def reject(*, change: Change, approver: str, reason: str, cause: str, now: datetime) -> None:
    """Say no, before anything was sent.

    Raises:
        ApprovalRefused: ``not_held``, or ``approver_is_…`` with the role of a party.
    """
    payout = change.payout
    if payout.state not in (PayoutState.REQUESTED, PayoutState.HELD):
        raise ApprovalRefused("not_held", f"the payout is {payout.state}, it waits for no approval")
    _check_no_party(payout, approver)
    close(
        change=change,
        to=PayoutState.CLOSING_REJECTED,
        code=REJECTED_BY_APPROVER,
        reason=reason,
        cause=cause,
        actor=approver,
        now=now,
    )


def ask_cancel(*, change: Change, by: str, code: str, reason: str, cause: str, now: datetime) -> None:
    """Cancel at once where nothing was sent; else note the wish, and the proof of no effect will end it. ``code`` says who
    wants the cancel, and is the payout's code once it is cancelled.

    A second wish, and one that comes while the payout is closing already, changes nothing. Where the player, an operator
    and a correction all ask, the payout keeps the code and the reason of the first.

    Raises:
        CancelRefused: the payout has ended.
    """
    payout = change.payout
    if payout.state in FINAL or payout.state is PayoutState.PAID:
        raise CancelRefused(f"the payout is {payout.state}")
    if payout.state in _NO_ATTEMPT_OPEN:
        change.set(cancel_asked_by=by, cancel_code=code, cancel_reason=reason)
        close(
            change=change,
            to=PayoutState.CLOSING_CANCELLED,
            code=code,
            reason=reason,
            cause=cause,
            actor=by,
            now=now,
        )
    elif payout.state in _ATTEMPT_OPEN and payout.cancel_asked_by is None:
        # the worker that looks next asks the rail to cancel; an outcome under way is not disturbed
        due = payout.due_at if payout.state is PayoutState.SUBMITTING else now
        change.set(cancel_asked_by=by, cancel_code=code, cancel_reason=reason, due_at=due)


def close(
    *,
    change: Change,
    to: PayoutState,
    code: str,
    cause: str,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Begin to end a payout that had no effect: through the signer where it could have signed, else at once.

    Raises:
        IllegalTransition: the payout may not be closed from where it stands.
    """
    assert to in CLOSING
    change.move(
        to=to,
        cause=cause,
        actor=actor,
        code=code,
        now=now,
        reason=reason if reason is not None else change.payout.reason,
        ends_as=None,
        due_at=None,
    )
    if not change.payout.needs_closure:
        finish_closing(change=change, closure=None, cause=cause, actor=actor, now=now)
    elif change.payout.closure is not None:
        # a tombstone is for ever: one that came before the payout closed again still holds
        finish_closing(change=change, closure=change.payout.closure, cause=cause, actor=actor, now=now)
    else:
        change.emit(event=CloseAsked(), cause=cause, now=now)


def finish_closing(*, change: Change, closure: str | None, cause: str, actor: str, now: datetime) -> None:
    """End: the tombstone is here, or none is needed. The event carries it to rewards."""
    payout = change.payout
    assert closure is not None or not payout.needs_closure
    final = final_of(closing=payout.state)
    change.move(to=final, cause=cause, actor=actor, code=payout.code, now=now, closure=closure)
    change.emit(event=ended(payout=change.payout), cause=cause, now=now)


def ended(*, payout: Payout) -> Ended:
    """What is told of the end of a payout that had no effect."""
    assert payout.code is not None
    return Ended(
        state=payout.state,
        code=payout.code,
        reason=payout.reason,
        attempts=payout.attempts,
        closure=payout.closure,
    )


def tell_paid(*, change: Change, cause: str, now: datetime) -> None:
    """Tell that the payout was paid, with the proof that is stored with it."""
    payout = change.payout
    assert payout.rail is not None
    assert payout.fee is not None
    assert payout.fee_borne_by is not None
    assert payout.proof is not None
    assert payout.paid_at is not None
    event = Paid(
        attempt_no=payout.attempts,
        rail=payout.rail,
        rail_type=payout.rail_type,
        player=payout.player,
        amount=payout.amount,
        fee=payout.fee,
        fee_borne_by=payout.fee_borne_by,
        proof=payout.proof,
        paid_at=payout.paid_at,
    )
    change.emit(event=event, cause=cause, now=now)


def close_refused(*, change: Change, cause: str, now: datetime, due_at: datetime) -> None:
    """A signature may be alive: back to ``unknown`` until the slot is proved, remembering how it was to end."""
    payout = change.payout
    change.move(
        to=PayoutState.UNKNOWN,
        cause=cause,
        actor="signer",
        code=payout.code,
        now=now,
        ends_as=payout.state,
        due_at=due_at,
        polls=payout.polls + 1,
    )
