"""What a rail answered, turned into steps. Only proof ends an attempt; whatever is unclear waits as unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prizewire_contracts.codes import PayoutCode, RetryDecision, decision_for
from prizewire_contracts.rails import Outcome, PayoutReference, ProviderResult
from prizewire_payouts.approval.domain import Schedule
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.events import Pending, Returned, Unknown
from prizewire_payouts.payouts.domain.model import Attempt
from prizewire_payouts.payouts.domain.states import ATTEMPT_OPEN, AttemptState, PayoutState
from prizewire_payouts.payouts.domain.steps import close, tell_expiry, tell_paid
from prizewire_payouts.payouts.ports import Rail, Store

_OPEN = frozenset({PayoutState.SUBMITTING, PayoutState.PENDING, PayoutState.UNKNOWN})
_PROOF = ("tx_hash", "ledger", "op", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A payout to ask its rail about; ``cancel`` where the rail should first be asked to stop it."""

    reference: PayoutReference
    cancel: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the rail said of one attempt. ``cancel_answer`` is what it said to the wish to cancel, if asked."""

    payout_id: UUID
    attempt_no: int
    result: ProviderResult
    cancel_answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surprise:
    """A rail told what cannot be. Nothing was changed by it; a person must look."""

    payout_id: UUID
    correlation_id: str
    attempt_no: int
    detail: str


async def take_watched(
    store: Store, *, rail: Rail, schedule: Schedule, now: datetime, limit: int
) -> list[Look]:
    """Take up to ``limit`` payouts of ``rail`` that are due to be looked at.

    One that is still ``submitting`` when its lease is over has lost its worker: it becomes unknown, and is looked
    up by its key like any other.
    """
    payouts = await store.lock_watched(rail=rail.name, now=now, limit=limit)
    attempts = await store.latest_attempts([payout.payout_id for payout in payouts])
    changes: list[Change] = []
    looks: list[Look] = []
    for payout in payouts:
        attempt = attempts.get(payout.payout_id)
        change = Change(payout, attempt=attempt)
        changes.append(change)
        cause = f"watch:{rail.name}"
        if attempt is None:
            # a close was refused though nothing was ever attempted: there is nothing to prove, ask again
            assert payout.ends_as is not None
            close(
                change=change,
                to=payout.ends_as,
                code=payout.code or PayoutCode.NOT_SUPPORTED,
                cause=cause,
                actor=cause,
                now=now,
            )
            continue
        if payout.state is PayoutState.SUBMITTING:
            change.move_attempt(
                to=AttemptState.AMBIGUOUS, cause=cause, now=now, code=PayoutCode.OUTCOME_UNKNOWN
            )
            _to_unknown(change, attempt, code=PayoutCode.OUTCOME_UNKNOWN, cause=cause, now=now)
        change.set(due_at=now + schedule.lease, polls=payout.polls + 1)
        wish = payout.cancel_asked_by is not None and payout.cancel_answer is None
        looks.append(
            Look(
                reference=PayoutReference(
                    payout_id=payout.payout_id,
                    attempt_no=attempt.attempt_no,
                    provider_key=attempt.provider_key,
                    amount=payout.amount,
                    provider_ref=attempt.provider_ref,
                ),
                cancel=wish and rail.capabilities.can_cancel and payout.state is not PayoutState.PAID,
            )
        )
    await store.save(changes)
    return looks


async def record_answers(
    store: Store, answers: Sequence[Answer], *, rail: Rail, schedule: Schedule, now: datetime
) -> list[Surprise]:
    """Store what the rail said; answers what could not be believed."""
    payouts = await store.lock_payouts({answer.payout_id for answer in answers})
    attempts = await store.latest_attempts(payouts)
    surprises: list[Surprise] = []
    changes: list[Change] = []
    for answer in answers:
        payout, attempt = payouts[answer.payout_id], attempts.get(answer.payout_id)
        change = Change(payout, attempt=attempt)
        detail = _Judgement(change=change, answer=answer, rail=rail, schedule=schedule, now=now).take()
        if detail is not None:
            surprises.append(
                Surprise(
                    payout_id=payout.payout_id,
                    correlation_id=payout.correlation_id,
                    attempt_no=answer.attempt_no,
                    detail=detail,
                )
            )
        if change.touched:
            changes.append(change)
    await store.save(changes)
    return surprises


@dataclass(slots=True, kw_only=True)
class _Judgement:
    """One answer applied to one payout. ``take`` answers what surprises, or None."""

    change: Change
    answer: Answer
    rail: Rail
    schedule: Schedule
    now: datetime

    @property
    def _result(self) -> ProviderResult:
        return self.answer.result

    @property
    def _cause(self) -> str:
        return f"{self.rail.name}:{self.answer.attempt_no}"

    def take(self) -> str | None:
        payout, attempt, outcome = self.change.payout, self.change.attempt, self._result.outcome
        moved = outcome in (Outcome.PAID, Outcome.RETURNED)
        if attempt is None or attempt.attempt_no != self.answer.attempt_no:
            return f"{outcome} for attempt {self.answer.attempt_no}, which is not the last" if moved else None
        if payout.state is PayoutState.PAID:
            return self._turned()
        if payout.state not in _OPEN:
            return f"{outcome} while the payout is {payout.state}" if moved else None
        if self.answer.cancel_answer is not None:
            self.change.set(cancel_answer=self.answer.cancel_answer)
        if attempt.state not in ATTEMPT_OPEN and outcome is not Outcome.NO_EFFECT:
            self._look_later()
            return f"{outcome} for an attempt that was proved without effect" if moved else None
        if outcome is Outcome.PENDING:
            self._pending(attempt)
            return None
        if outcome is Outcome.NO_EFFECT:
            return self._no_effect(attempt)
        if outcome is Outcome.UNKNOWN:
            self._unknown(attempt, self._result.code or PayoutCode.OUTCOME_UNKNOWN)
            return None
        if self._result.amount != payout.amount:
            self._unknown(attempt, PayoutCode.OUTCOME_UNKNOWN)
            return "paid with an amount that is not the intent's"
        self._paid(attempt)
        if outcome is Outcome.RETURNED:
            return self._turned()
        return None

    def _pending(self, attempt: Attempt) -> None:
        change, result = self.change, self._result
        ref = result.provider_ref or attempt.provider_ref
        if attempt.state is not AttemptState.ACCEPTED:
            change.move_attempt(
                to=AttemptState.ACCEPTED,
                cause=self._cause,
                now=self.now,
                provider_ref=ref,
                answer=self._answer(),
            )
        if change.payout.state is not PayoutState.PENDING:
            change.move(
                to=PayoutState.PENDING,
                cause=self._cause,
                actor=self.rail.name,
                now=self.now,
                provider_ref=ref,
            )
            hash_ = result.proof.get("tx_hash")
            event = Pending(
                attempt_no=attempt.attempt_no,
                rail=self.rail.name,
                provider_ref=ref,
                tx_hash=hash_ if isinstance(hash_, str) else None,
            )
            change.emit(event=event, cause=self._cause, now=self.now)
        self._look_later()

    def _unknown(self, attempt: Attempt, code: str) -> None:
        change = self.change
        if attempt.state is not AttemptState.AMBIGUOUS and attempt.state in ATTEMPT_OPEN:
            change.move_attempt(
                to=AttemptState.AMBIGUOUS, cause=self._cause, now=self.now, code=code, answer=self._answer()
            )
        if change.payout.state is not PayoutState.UNKNOWN:
            _to_unknown(change, attempt, code=code, cause=self._cause, now=self.now)
        self._look_later()

    def _no_effect(self, attempt: Attempt) -> str | None:
        change, payout, now = self.change, self.change.payout, self.now
        code = self._result.code or PayoutCode.PROVIDER_REJECTED
        decision = decision_for(code)
        if decision is RetryDecision.LOOK_UP:
            self._unknown(attempt, code)
            return f"no effect, but with the code {code}, which proves nothing"
        if attempt.state in ATTEMPT_OPEN:
            change.move_attempt(
                to=AttemptState.NO_EFFECT, cause=self._cause, now=now, code=code, answer=self._answer()
            )
        if payout.ends_as is not None:
            self._close(payout.ends_as, payout.code or code)
        elif payout.cancel_code is not None:
            self._close(PayoutState.CLOSING_CANCELLED, payout.cancel_code, reason=payout.cancel_reason)
        elif decision is RetryDecision.GIVE_UP:
            self._close(PayoutState.CLOSING_FAILED, code)
        elif decision is RetryDecision.HOLD:
            self._try_again(code, wait=timedelta(), waived=1)
            tell_expiry(change=change, cause=self._cause, now=now)
        elif decision is RetryDecision.WAIT:
            wait = self.schedule.limit_again_in(now=now, provider_key=attempt.provider_key)
            self._try_again(code, wait=wait, waived=1)
        elif payout.attempts_counted >= self.schedule.attempts_max:
            self._close(PayoutState.CLOSING_FAILED, PayoutCode.ATTEMPTS_EXHAUSTED, reason=f"last: {code}")
        else:
            wait = self.schedule.retry_in(
                attempt_no=payout.attempts_counted,
                provider_key=attempt.provider_key,
                at_least_s=self._result.retry_after_s,
            )
            self._try_again(code, wait=wait)
        return None

    def _try_again(self, code: str, *, wait: timedelta, waived: int = 0) -> None:
        """Back to approved: the next attempt is due after ``wait``. A waived one does not use up an attempt."""
        self.change.move(
            to=PayoutState.APPROVED,
            cause=self._cause,
            actor=self.rail.name,
            code=code,
            now=self.now,
            due_at=self.now + wait,
            polls=0,
            attempts_waived=self.change.payout.attempts_waived + waived,
        )

    def _paid(self, attempt: Attempt) -> None:
        change, payout, now = self.change, self.change.payout, self.now
        zero = payout.amount - payout.amount
        fee = self._result.fee if self._result.fee is not None else zero
        ref = self._result.provider_ref or attempt.provider_ref
        proof = {
            name: self._result.proof[name] for name in _PROOF if self._result.proof.get(name) is not None
        }
        if not proof and ref is not None:
            proof = {"reference": ref}
        change.move_attempt(
            to=AttemptState.EFFECTED, cause=self._cause, now=now, provider_ref=ref, answer=self._answer()
        )
        watched = self.rail.capabilities.can_return
        change.move(
            to=PayoutState.PAID,
            cause=self._cause,
            actor=self.rail.name,
            now=now,
            provider_ref=ref,
            proof=proof,
            fee=fee,
            fee_borne_by=self._result.fee_borne_by,
            paid_at=now,
            polls=0,
            ends_as=None,
            due_at=now + self.schedule.look_again_in(polls=1) if watched else None,
        )
        tell_paid(change=change, cause=self._cause, now=now)

    def _turned(self) -> str | None:
        """A payment that was proved may come back; anything else said of it changes nothing."""
        change, payout, result, now = self.change, self.change.payout, self._result, self.now
        if result.outcome is not Outcome.RETURNED:
            assert payout.paid_at is not None
            watched = now < payout.paid_at + self.schedule.returns_watched
            due = now + self.schedule.look_again_in(polls=payout.polls) if watched else None
            change.set(due_at=due)
            unsaid = result.outcome is Outcome.NO_EFFECT
            return "no effect for a payment that was proved" if unsaid else None
        amount = result.amount if result.amount is not None else payout.amount
        if result.return_ref is None or amount > payout.amount or amount.minor <= 0:
            change.set(due_at=now + self.schedule.poll_max)
            return "a return without a reference, or of more than was paid"
        zero = payout.amount - payout.amount
        change.move_attempt(to=AttemptState.REVERSED, cause=self._cause, now=now, answer=self._answer())
        change.move(
            to=PayoutState.RETURNED,
            cause=self._cause,
            actor=self.rail.name,
            now=now,
            return_ref=result.return_ref,
            returned=amount,
            due_at=None,
        )
        fee = result.fee if result.fee is not None else zero
        change.emit(
            event=Returned(return_ref=result.return_ref, amount=amount, fee=fee), cause=self._cause, now=now
        )
        return None

    def _close(self, to: PayoutState, code: str, *, reason: str | None = None) -> None:
        close(
            change=self.change,
            to=to,
            code=code,
            reason=reason,
            cause=self._cause,
            actor=self.rail.name,
            now=self.now,
        )

    def _look_later(self) -> None:
        """Plan the next look; a poke that came while the rail was asked (due already) is not overwritten."""
        payout = self.change.payout
        if payout.due_at is not None and payout.due_at <= self.now:
            return
        wait = self.schedule.look_again_in(polls=max(payout.polls, 1))
        wait = max(wait, timedelta(seconds=self._result.retry_after_s or 0))
        self.change.set(due_at=self.now + wait)

    def _answer(self) -> Mapping[str, Any]:
        """What is kept of the rail's answer: no personal detail."""
        result = self._result
        return {
            "outcome": result.outcome,
            "code": result.code,
            "reference": result.provider_ref,
            "proof": {name: result.proof[name] for name in _PROOF if name in result.proof},
        }


def _to_unknown(change: Change, attempt: Attempt, *, code: str, cause: str, now: datetime) -> None:
    change.move(to=PayoutState.UNKNOWN, cause=cause, actor=cause.partition(":")[0], code=code, now=now)
    change.emit(
        event=Unknown(attempt_no=attempt.attempt_no, rail=attempt.rail, code=code), cause=cause, now=now
    )
