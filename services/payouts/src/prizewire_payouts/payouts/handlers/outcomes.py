"""Answers of rails, applied to payouts. Only proof ends an attempt; an unclear outcome is stored as unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prizewire_contracts.codes import PayoutCode, RetryDecision, decision_for
from prizewire_contracts.rails import SIGNER_RAILS, Outcome, ProviderResult
from prizewire_payouts.payouts.domain.change import Change, close, hold_expired, hold_quoted, pay
from prizewire_payouts.payouts.domain.model import Attempt
from prizewire_payouts.payouts.domain.states import ATTEMPT_OPEN, AttemptState, PayoutState, Pending, Returned
from prizewire_payouts.payouts.handlers.watching import Schedule, move_to_unknown
from prizewire_payouts.payouts.ports import Payouts
from prizewire_payouts.rails.handlers import next_after
from prizewire_payouts.rails.ports import Rail

_OPEN = frozenset({PayoutState.SUBMITTING, PayoutState.PENDING, PayoutState.UNKNOWN})
_OF_QUOTES = frozenset({PayoutCode.QUOTE_EXPIRED, PayoutCode.QUOTE_WORSE})
_PROOF = ("tx_hash", "ledger", "op", "reference")
_FINAL = "a return on a rail that the signer serves, where a payment is final"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A rail's answer about one attempt. ``cancel_answer`` is its answer to the request to cancel, where one was made;
    ``latency_ms`` is how long the call took that began the attempt, None for other calls. ``correlation_id`` is for log lines.
    """

    payout_id: UUID
    attempt_no: int
    result: ProviderResult
    cancel_answer: str | None = None
    latency_ms: int | None = None
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpossibleOutcome:
    """An impossible answer of a rail, of which a person must find out why the rail gave it. It changed nothing, except for a payment
    with another fee than quoted, which was booked. ``second_payment``: it reports a payment of an attempt that had ended, beside which
    another one may be made.
    """

    payout_id: UUID
    correlation_id: str
    attempt_no: int
    detail: str
    second_payment: bool = False


async def record_answers(
    payouts: Payouts,
    answers: Sequence[Answer],
    *,
    rail: Rail,
    schedule: Schedule,
    now: datetime,
    rails: Sequence[Rail] = (),
) -> list[ImpossibleOutcome]:
    """Store the rail's answers; returns the impossible ones. Of these only a payment with another fee than quoted was applied. ``rails``
    are all that are configured: a payout whose attempts on this one are used up, each proved to be without effect, goes to the
    next one that its intent allows.
    """
    changes = await payouts.lock({answer.payout_id for answer in answers})
    impossible: list[ImpossibleOutcome] = []
    for answer in answers:
        change = changes[answer.payout_id]
        recorded = _RecordedAnswer(
            change=change, answer=answer, rail=rail, rails=rails, schedule=schedule, now=now
        )
        detail = recorded.apply()
        if detail is not None:
            impossible.append(
                ImpossibleOutcome(
                    payout_id=answer.payout_id,
                    correlation_id=change.payout.correlation_id,
                    attempt_no=answer.attempt_no,
                    detail=detail,
                    second_payment=recorded.second_payment,
                )
            )
    await payouts.save()
    return impossible


def _says_no_effect(attempt: Attempt, outcome: Outcome) -> bool:
    return attempt.state is AttemptState.NO_EFFECT and outcome is Outcome.NO_EFFECT


@dataclass(slots=True, kw_only=True)
class _RecordedAnswer:
    """One answer, applied to one payout. ``apply`` returns the reason why the answer is impossible, or None, and sets
    ``second_payment``.
    """

    change: Change
    answer: Answer
    rail: Rail
    rails: Sequence[Rail]
    schedule: Schedule
    now: datetime
    second_payment: bool = False

    @property
    def _result(self) -> ProviderResult:
        return self.answer.result

    @property
    def _cause(self) -> str:
        return f"{self.rail.name}:{self.answer.attempt_no}"

    def apply(self) -> str | None:
        payout, attempt, outcome = self.change.payout, self.change.attempt, self._result.outcome
        moved = outcome in (Outcome.PAID, Outcome.RETURNED)
        if attempt is None or attempt.attempt_no != self.answer.attempt_no:
            self.second_payment = moved
            return (
                f"{outcome} for attempt {self.answer.attempt_no}, which is not the last one"
                if moved
                else None
            )
        if attempt.rail != self.rail.name:
            self.second_payment = moved
            return f"{outcome} for an attempt on the rail {attempt.rail}" if moved else None
        if payout.state is PayoutState.PAID:
            return self._after_paid()
        if payout.state not in _OPEN:
            self.second_payment = moved
            return f"{outcome} while the payout is {payout.state}" if moved else None
        if self.answer.cancel_answer is not None:
            self.change.set(cancel_answer=self.answer.cancel_answer)
        if attempt.state not in ATTEMPT_OPEN and not _says_no_effect(attempt, outcome):
            self._schedule_look_up()
            return f"{outcome} for an attempt that is stored as {attempt.state}" if moved else None
        self.change.time_attempt(latency_ms=self.answer.latency_ms)
        if outcome is Outcome.PENDING:
            self._pending(attempt)
            return None
        if outcome is Outcome.NO_EFFECT:
            return self._no_effect(attempt)
        if outcome is Outcome.UNKNOWN:
            self._unknown(attempt, self._result.code or PayoutCode.OUTCOME_UNKNOWN)
            return None
        final = outcome is Outcome.RETURNED and payout.needs_closure
        if final or self._result.amount != payout.amount:
            self._unknown(attempt, PayoutCode.OUTCOME_UNKNOWN)
            return _FINAL if final else "paid with an amount that is not the intent's"
        self._paid(attempt)
        if outcome is Outcome.RETURNED:
            return self._after_paid()
        return self._more_than_quoted()

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
            change.emit(event=event, cause=self._cause)
        self._schedule_look_up()

    def _unknown(self, attempt: Attempt, code: str) -> None:
        change = self.change
        if attempt.state is not AttemptState.AMBIGUOUS and attempt.state in ATTEMPT_OPEN:
            change.move_attempt(
                to=AttemptState.AMBIGUOUS, cause=self._cause, now=self.now, code=code, answer=self._answer()
            )
        if change.payout.state is not PayoutState.UNKNOWN:
            move_to_unknown(change, attempt, code=code, cause=self._cause, now=self.now)
        self._schedule_look_up()

    def _no_effect(self, attempt: Attempt) -> str | None:
        change, payout, now = self.change, self.change.payout, self.now
        code = self._result.code or PayoutCode.PROVIDER_REJECTED
        decision = decision_for(code)
        if decision is RetryDecision.LOOK_UP:
            self._unknown(attempt, code)
            return f"no effect, with the code {code}, which proves nothing"
        if attempt.state in ATTEMPT_OPEN:
            change.move_attempt(
                to=AttemptState.NO_EFFECT, cause=self._cause, now=now, code=code, answer=self._answer()
            )
        elif not attempt.authentic:
            change.confirm_attempt(provider_ref=self._result.provider_ref, now=now)
        if payout.ends_as is not None:
            self._close(payout.ends_as, payout.code or code)
        elif payout.cancel_code is not None:
            self._close(PayoutState.CLOSING_CANCELLED, payout.cancel_code, reason=payout.cancel_reason)
        elif decision is RetryDecision.GIVE_UP:
            self._close(PayoutState.CLOSING_FAILED, code)
        elif decision is RetryDecision.HOLD:
            self._try_again(code, wait=timedelta(), waived=1)
            if code in _OF_QUOTES:
                hold_quoted(change=change, reason=code, cause=self._cause, now=now)
            else:
                hold_expired(change=change, cause=self._cause, now=now)
        elif decision is RetryDecision.WAIT:
            wait = self.schedule.limit_again_in(now=now, provider_key=attempt.provider_key)
            self._try_again(code, wait=wait, waived=1)
        elif payout.attempts_counted >= self.schedule.attempts_max and self._go_on(code):
            pass
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

    def _go_on(self, code: str) -> bool:
        """Give the payout to the next rail, at once and with all attempts; False where no other may have it. An attempt that is not
        proved to be without effect keeps it at its rail, and so does a quote, whose price only its rail keeps. So does the signer, which may sign the payout until it has closed it.
        """
        change = self.change
        following = next_after(payout=change.payout, rail=self.rail.name, rails=self.rails)
        if following is None or change.unproved or change.payout.quote is not None:
            return False
        if self.rail.capabilities.type in SIGNER_RAILS - {following.capabilities.type}:
            return False
        self._try_again(code, wait=timedelta(), waived=change.payout.attempts_counted)
        change.set(rail=following.name, rail_type=following.capabilities.type)
        return True

    def _try_again(self, code: str, *, wait: timedelta, waived: int = 0) -> None:
        """Move the payout back to approved: the next attempt is due after ``wait``. A waived attempt is not counted."""
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
        watched = self.rail.capabilities.can_return
        pay(
            change=change,
            cause=self._cause,
            now=now,
            answer=self._answer(),
            provider_ref=ref,
            proof=proof,
            fee=fee,
            fee_borne_by=self._result.fee_borne_by,
            due_at=now + self.schedule.look_for_return_in(looks=0) if watched else None,
        )

    def _more_than_quoted(self) -> str | None:
        """The rail has paid and taken its fee, so the fee is booked as it is; a higher one than quoted is reported."""
        quote, fee = self.change.payout.quote, self._result.fee
        if quote is None or fee is None or not fee.minor:
            return None
        as_quoted = fee.asset == quote.fee.asset and fee.minor <= quote.fee.minor
        if as_quoted and self._result.fee_borne_by == quote.fee_borne_by:
            return None
        charged, quoted = fee.asset.describe(fee.minor), quote.fee.asset.describe(quote.fee.minor)
        return (
            f"a fee of {charged}, borne by the {self._result.fee_borne_by}, and the quote says {quoted}, borne by the "
            f"{quote.fee_borne_by}: it was booked as charged"
        )

    def _after_paid(self) -> str | None:
        """A payment that was proved may come back; any other answer changes nothing."""
        change, payout, result, now = self.change, self.change.payout, self._result, self.now
        if result.outcome is not Outcome.RETURNED:
            assert payout.paid_at is not None
            watched = now < payout.paid_at + self.schedule.returns_watched
            due = now + self.schedule.look_for_return_in(looks=payout.polls) if watched else None
            change.set(due_at=due)
            denied = result.outcome is Outcome.NO_EFFECT
            return "no effect for a payment that was proved" if denied else None
        if payout.needs_closure:
            change.set(due_at=None)
            return _FINAL
        amount = result.amount if result.amount is not None else payout.amount
        if result.return_ref is None or amount > payout.amount or amount.minor <= 0:
            change.set(due_at=now + self.schedule.poll_max)
            return "a return without a reference, or return exceeds payment"
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
        change.emit(event=Returned(return_ref=result.return_ref, amount=amount, fee=fee), cause=self._cause)
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

    def _schedule_look_up(self) -> None:
        """Plan the next look-up. A payout that became due while the rail was asked stays due."""
        payout = self.change.payout
        if payout.due_at is not None and payout.due_at <= self.now:
            return
        wait = self.schedule.look_again_in(polls=max(payout.polls, 1))
        wait = max(wait, timedelta(seconds=self._result.retry_after_s or 0))
        self.change.set(due_at=self.now + wait)

    def _answer(self) -> Mapping[str, Any]:
        """The part of the rail's answer that is stored: no personal detail."""
        result = self._result
        return {
            "outcome": result.outcome,
            "code": result.code,
            "reference": result.provider_ref,
            "proof": {name: result.proof[name] for name in _PROOF if name in result.proof},
        }
