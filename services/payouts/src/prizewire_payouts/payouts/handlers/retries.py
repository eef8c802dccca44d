"""An operator retries an ended payout: rewards files a new one out of the money that came back."""

from datetime import datetime
from uuid import UUID

from prizewire_payouts.methods.domain import MethodState
from prizewire_payouts.methods.ports import Methods
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Payout, RefuseRetry, Rejection, RequestPayout
from prizewire_payouts.payouts.domain.retries import (
    RETRYABLE,
    Retry,
    RetryAnswer,
    RetryRefused,
    next_retry,
)
from prizewire_payouts.payouts.domain.states import AttemptUnproved, PayoutState
from prizewire_payouts.payouts.ports import Payouts


async def request_retry(
    payouts: Payouts,
    methods: Methods,
    *,
    payout_id: UUID,
    by: str,
    reason: str,
    method_id: UUID | None,
    now: datetime,
) -> tuple[Payout, Retry]:
    """Ask rewards to pay the money of an ended payout again, by a new payout.

    Raises:
        PayoutNotFound: there is none.
        RetryRefused: ``not_retryable``, ``already_retried``, ``retry_open``, ``method_not_possible``, ``method_unknown`` or
            ``details_not_kept``.
        AttemptUnproved: no answer of a rail led to its end: the row was changed in the database, and its money is not back.
    """
    change = await payouts.lock_one(payout_id)
    retry = next_retry(
        payout=change.payout,
        earlier=await payouts.retries(payout_id),
        by=by,
        reason=reason,
        method_id=method_id,
        now=now,
    )
    if change.unproved and change.payout.state is not PayoutState.RETURNED:
        raise AttemptUnproved(
            f"the payout is {change.payout.state}, but no rail proved that its attempts had no effect"
        )
    await _check_method(methods, change.payout, method_id)
    change.ask_retry(retry=retry, cause=f"retry:{by}")
    await payouts.save()
    return change.payout, retry


async def _check_method(methods: Methods, payout: Payout, named: UUID | None) -> None:
    """Whether the retry may be paid to the named method, or without one to the details of the payout's own request.

    Raises:
        RetryRefused: ``method_unknown`` or ``details_not_kept``.
    """
    wanted = named or payout.method_id
    method = None if wanted is None else (await methods.find({wanted})).get(wanted)
    if named is None:
        if method is not None and method.inline and method.erased:
            raise RetryRefused(
                "details_not_kept",
                "the details in the request of this payout are erased: name another method, or request a new payout",
            )
        return
    persons = [one for one in (payout.player, payout.payee) if one is not None]
    if (
        method is None
        or method.inline
        or method.player not in persons
        or method.state is not MethodState.ACTIVE
    ):
        raise RetryRefused(
            "method_unknown",
            f"{' or '.join(persons)} has no active payout method {named}: without one, the retry goes to the default method of "
            "the person who is paid now",
        )


def check_retried(command: RequestPayout, change: Change | None) -> Rejection | None:
    """How a new payout differs from the ended one that it retries, or None."""
    second = False
    if change is None or change.payout.state not in RETRYABLE:
        state = "unknown here" if change is None else str(change.payout.state)
        detail = f"payout {command.retry_of}, which it retries, is {state}: only an ended payout is retried"
    elif change.payout.retried_by not in (None, command.payout_id):
        detail = f"payout {change.payout.retried_by} retries payout {command.retry_of} already"
        second = True
    elif change.payout.player != command.player:
        detail = f"payout {command.retry_of}, which it retries, is of another player"
    elif (most := change.payout.debit or change.payout.amount).asset != command.terms.debit.asset or (
        command.terms.debit > most
    ):
        detail = f"payout {command.retry_of}, which it retries, was over less, or in another asset"
    else:
        return None
    return Rejection(code="event_mismatch", detail=detail, park=True, second_payment=second)


def note_retried(command: RequestPayout, change: Change, *, now: datetime) -> None:
    """The new payout answers the request to retry the ended one."""
    change.answer_retry(answer=RetryAnswer(retried_by=command.payout_id, at=now))


def refuse_retry(command: RefuseRetry, change: Change, *, now: datetime) -> None:
    """Rewards files no new payout. A payout that is retried stays so: rewards answers a request that it reads again with
    ``already_retried``.
    """
    if change.payout.retried_by is None:
        change.answer_retry(
            answer=RetryAnswer(retry_no=command.retry_no, code=command.code, detail=command.detail, at=now)
        )
