"""What one transaction changes of a payout, and the decisions that lead to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from prizewire_payouts.payouts.domain.model import (
    Attempt,
    AttemptTransition,
    Payout,
    PendingEvent,
    Transition,
)
from prizewire_payouts.payouts.domain.retries import Retry, RetryAnswer
from prizewire_payouts.payouts.domain.states import (
    CLOSING,
    FINAL,
    NO_ATTEMPT_OPEN,
    AttemptState,
    CancelRefused,
    CloseRequested,
    Ended,
    Held,
    Paid,
    PayoutEvent,
    PayoutState,
    RetryRequested,
    Submitted,
    Unknown,
    check_attempt_edge,
    check_payout_edge,
    final_of,
)


@dataclass(slots=True)
class Change:
    """A payout as it will be saved. Each transition is checked against the table of edges when it is taken.

    ``attempt`` is the one on which the outcome depends. ``others_unproved`` says that another attempt is not proved to be
    without effect, ``last_attempt_no`` is the highest number of all, ``first_sent_at`` when the first of them was sent. ``signed_unasked`` says that the signer signed a transaction
    for it that payouts did not ask for, and that is not proved to be without effect. ``retry`` is a request to retry the
    payout, or rewards' answer to it.
    """

    payout: Payout
    is_new: bool = False
    attempt: Attempt | None = None
    attempt_is_new: bool = False
    attempt_confirmed: bool = False
    others_unproved: bool = False
    last_attempt_no: int = 0
    first_sent_at: datetime | None = None
    signed_unasked: bool = False
    transitions: list[Transition] = field(default_factory=list)
    attempt_transitions: list[AttemptTransition] = field(default_factory=list)
    events: list[PendingEvent] = field(default_factory=list)
    retry: Retry | RetryAnswer | None = None
    touched: bool = False

    @property
    def unproved(self) -> bool:
        """Whether an attempt is not proved to be without effect. It may have paid, or may still pay."""
        return self.others_unproved or (self.attempt is not None and not self.attempt.proved)

    def move(
        self,
        *,
        to: PayoutState,
        cause: str,
        actor: str,
        now: datetime,
        code: str | None = None,
        **fields: Any,
    ) -> None:
        """Move the payout to another state, with any fields that change with it; ``code`` says why it is there.

        Raises:
            IllegalTransition: the table has no such edge; nothing was changed.
        """
        old = self.payout.state
        check_payout_edge(old=old, new=to)
        self.transitions.append(Transition(old=old, new=to, cause=cause, actor=actor, code=code, at=now))
        self.payout = replace(self.payout, state=to, code=code, changed_at=now, **fields)
        self.touched = True

    def set(self, **fields: Any) -> None:
        """Change fields without a transition; ``changed_at`` stays the time of the last transition."""
        self.payout = replace(self.payout, **fields)
        self.touched = True

    def open_attempt(self, *, attempt: Attempt) -> None:
        """Add a new attempt, which must be in its first state."""
        assert attempt.state is AttemptState.OPENED
        self.attempt, self.attempt_is_new = attempt, True
        self.payout = replace(self.payout, attempts=attempt.attempt_no)
        self.touched = True

    def move_attempt(
        self, *, to: AttemptState, cause: str, now: datetime, code: str | None = None, **fields: Any
    ) -> None:
        """Move the attempt to another state.

        Raises:
            IllegalTransition: the table has no such edge; nothing was changed.
        """
        attempt = self.attempt
        assert attempt is not None
        check_attempt_edge(old=attempt.state, new=to)
        self.attempt_transitions.append(
            AttemptTransition(
                attempt_no=attempt.attempt_no, old=attempt.state, new=to, cause=cause, code=code, at=now
            )
        )
        self.attempt = replace(attempt, state=to, code=code, changed_at=now, **fields)
        self.touched = True

    def time_attempt(self, *, latency_ms: int | None) -> None:
        """Keep how long the call took that began the attempt, with the attempt's next transition; None changes nothing."""
        if latency_ms is not None and self.attempt is not None:
            self.attempt = replace(self.attempt, latency_ms=latency_ms)

    def confirm_attempt(self, *, provider_ref: str | None, now: datetime) -> None:
        """The rail proved what the attempt's row says already, although payouts did not write the row."""
        assert self.attempt is not None
        self.attempt = replace(self.attempt, authentic=True, provider_ref=provider_ref, changed_at=now)
        self.attempt_confirmed = self.touched = True

    def ask_retry(self, *, retry: Retry, cause: str) -> None:
        """Store a request to retry the payout, and send it to rewards."""
        self.retry = retry
        event = RetryRequested(
            retry_no=retry.retry_no, by=retry.asked_by, reason=retry.reason, method_id=retry.method_id
        )
        self.emit(event=event, cause=cause)

    def answer_retry(self, *, answer: RetryAnswer) -> None:
        """Store rewards' answer to the open request to retry the payout."""
        self.retry = answer
        if answer.retried_by is not None:
            self.payout = replace(self.payout, retried_by=answer.retried_by)
        self.touched = True

    def emit(self, *, event: PayoutEvent, cause: str) -> None:
        """Publish an event with the change. It takes the next version: requests to the signer are counted apart."""
        if isinstance(event, CloseRequested):
            self.payout = replace(self.payout, close_version=self.payout.close_version + 1)
            version = self.payout.close_version
        else:
            self.payout = replace(self.payout, version=self.payout.version + 1)
            version = self.payout.version
        self.events.append(PendingEvent(version=version, event=event, cause=cause))
        self.touched = True


INTENT_EXPIRED = "intent_expired"
"""The reason of ``payout.held`` on which rewards renews the intent."""
UNASKED_PAUSE = timedelta(minutes=1)
"""How long a payout waits before it is looked at again, while ``signed_unasked`` holds."""
ATTEMPT_UNPROVED = "attempt_unproved"
"""The code of ``payout.unknown`` while a rail is asked about an attempt that is not proved to be without effect."""
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


def hold_quoted(*, change: Change, reason: str, cause: str, now: datetime) -> None:
    """Hold an approved payout whose quote has expired, or whose rail now names a worse price: a person decides.

    Raises:
        IllegalTransition: the payout is not approved.
    """
    needed = max(change.payout.approvers_needed, 1)
    hold(change=change, terms=Hold(reason=reason, approvers=needed), cause=cause, now=now)


def begin_attempt(
    *, change: Change, attempt: Attempt, cause: str, now: datetime, lease_ends: datetime
) -> None:
    """Add the payout's next attempt. Its rail is called once this is committed; until ``lease_ends`` the call may be under way.

    Raises:
        IllegalTransition: the payout is not approved.
    """
    change.open_attempt(attempt=attempt)
    change.move_attempt(to=AttemptState.SENT, cause=cause, now=now)
    change.move(
        to=PayoutState.SUBMITTING,
        cause=cause,
        actor=cause,
        now=now,
        due_at=lease_ends,
        polls=0,
        provider_ref=None,
    )
    event = Submitted(attempt_no=attempt.attempt_no, rail=attempt.rail, provider_key=attempt.provider_key)
    change.emit(event=event, cause=cause)


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
    if payout.state in NO_ATTEMPT_OPEN:
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

    Where an attempt is not proved to be without effect, the payout first waits for its rail's proof. While the signer's
    signature for a transaction that payouts did not ask for may have paid it, it is unknown.

    Raises:
        IllegalTransition: the payout may not be closed from its present state.
    """
    assert to in CLOSING
    if change.unproved:
        await_proof(change=change, code=code, cause=cause, actor=actor, now=now, ends_as=to, reason=reason)
        return
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
    elif change.signed_unasked:
        reopen(change=change, cause=cause, now=now, due_at=now + UNASKED_PAUSE)
    elif change.payout.closure is not None:
        # a tombstone is permanent: one that arrived before the payout closed again is still valid
        finish_closing(change=change, closure=change.payout.closure, cause=cause, actor=actor, now=now)
    else:
        change.emit(event=CloseRequested(), cause=cause)


def await_proof(
    *,
    change: Change,
    code: str,
    cause: str,
    actor: str,
    now: datetime,
    ends_as: PayoutState | None = None,
    reason: str | None = None,
) -> None:
    """Have the rail asked about an attempt that its row, but no proof, says to be without effect: somebody changed the row in
    the database. ``ends_as`` is the closing state that follows the proof; without it the payout is approved again.

    Raises:
        IllegalTransition: the payout has ended.
    """
    attempt = change.attempt
    assert attempt is not None
    payout = change.payout
    reason = reason if reason is not None else payout.reason
    if payout.state is PayoutState.UNKNOWN:
        change.set(code=code, ends_as=ends_as, reason=reason, due_at=now)
        return
    change.move(
        to=PayoutState.UNKNOWN,
        cause=cause,
        actor=actor,
        code=code,
        now=now,
        rail=attempt.rail,
        ends_as=ends_as,
        reason=reason,
        due_at=now,
        polls=0,
    )
    event = Unknown(attempt_no=attempt.attempt_no, rail=attempt.rail, code=ATTEMPT_UNPROVED)
    change.emit(event=event, cause=cause)


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


def pay(
    *,
    change: Change,
    cause: str,
    now: datetime,
    answer: Mapping[str, Any],
    provider_ref: str | None,
    due_at: datetime | None,
    **payment: Any,
) -> None:
    """The rail proved that the open attempt paid; ``payment`` has ``proof``, ``fee`` and ``fee_borne_by``.

    Raises:
        IllegalTransition: the payout has no open attempt.
    """
    assert change.attempt is not None
    change.move_attempt(
        to=AttemptState.EFFECTED, cause=cause, now=now, provider_ref=provider_ref, answer=answer
    )
    change.move(
        to=PayoutState.PAID,
        cause=cause,
        actor=change.attempt.rail,
        now=now,
        provider_ref=provider_ref,
        paid_at=now,
        polls=0,
        ends_as=None,
        due_at=due_at,
        **payment,
    )
    emit_paid(change=change, cause=cause)


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
    """The signer may have signed, so that the payout is not closed yet: it is ``unknown`` until its slot is proved. It
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
