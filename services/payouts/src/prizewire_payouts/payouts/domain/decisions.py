"""Decisions about one payout: pure functions over its `Change`."""

from dataclasses import dataclass
from datetime import datetime

from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.errors import CancelRefused
from prizewire_payouts.payouts.domain.events import CloseRequested, Ended, Held, Paid
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import CLOSING, FINAL, PayoutState, final_of

INTENT_EXPIRED = "intent_expired"
"""The reason of ``payout.held`` on which rewards renews the intent."""

_NO_ATTEMPT_OPEN = frozenset({PayoutState.REQUESTED, PayoutState.HELD, PayoutState.APPROVED})
_ATTEMPT_OPEN = frozenset({PayoutState.SUBMITTING, PayoutState.PENDING, PayoutState.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The payout waits for approvers: ``reason`` is a stable code, ``approvers`` how many distinct ones must approve."""

    reason: str
    approvers: int


def hold(*, change: Change, terms: Hold, cause: str, now: datetime) -> None:
    """Hold the payout for approvers. Approvals of an earlier hold do not count.

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
    change.emit(event=Held(reason=terms.reason), cause=cause)


def hold_expired(*, change: Change, cause: str, now: datetime) -> None:
    """The intent has expired before anything was sent: hold the payout, and request a renewal from rewards once.

    A payout that is held already stays under the same hold, so that its approvals still count.
    """
    payout = change.payout
    if payout.state is PayoutState.APPROVED:
        needed = max(payout.approvers_needed, 1)
        hold(change=change, terms=Hold(reason=INTENT_EXPIRED, approvers=needed), cause=cause, now=now)
    elif payout.state is PayoutState.HELD and not payout.expiry_told:
        change.set(expiry_told=True)
        change.emit(event=Held(reason=INTENT_EXPIRED), cause=cause)


def request_cancel(*, change: Change, by: str, code: str, reason: str, cause: str, now: datetime) -> None:
    """Cancel at once where no attempt is open. Else store the request: the payout is cancelled once its attempt is
    proved without effect. ``code`` says who requested it, and becomes the payout's code.

    A second request, and one for a payout that is closing already, changes nothing. Where the player, an operator and a
    correction request it, the payout keeps code and reason of the first request.

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
        # the next look-up asks the rail to cancel; a call that is under way keeps its lease
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
        IllegalTransition: the payout may not be closed from its present state.
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
        # a tombstone is permanent: one that arrived before the payout closed again is still valid
        finish_closing(change=change, closure=change.payout.closure, cause=cause, actor=actor, now=now)
    else:
        change.emit(event=CloseRequested(), cause=cause)


def finish_closing(*, change: Change, closure: str | None, cause: str, actor: str, now: datetime) -> None:
    """End a payout that is closing. ``closure`` is the signer's tombstone, which the event carries to rewards; None where
    the payout needs none.
    """
    payout = change.payout
    assert closure is not None or not payout.needs_closure
    final = final_of(closing=payout.state)
    change.move(to=final, cause=cause, actor=actor, code=payout.code, now=now, closure=closure)
    change.emit(event=ended(payout=change.payout), cause=cause)


def ended(*, payout: Payout) -> Ended:
    """The event of the end of a payout that had no effect."""
    assert payout.code is not None
    return Ended(
        state=payout.state,
        code=payout.code,
        reason=payout.reason,
        attempts=payout.attempts,
        closure=payout.closure,
    )


def emit_paid(*, change: Change, cause: str) -> None:
    """Publish that the payout was paid, with the proof that is stored with it."""
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
    change.emit(event=event, cause=cause)


def reopen(*, change: Change, cause: str, now: datetime, due_at: datetime) -> None:
    """The signer refused to close, since it may have signed: the payout is ``unknown`` until its slot is proved. It
    remembers the end that it was closing to.
    """
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
