"""When a rail is asked about payouts: those that are due, and those that a hint of the rail names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutReference
from prizewire_payouts.payouts.domain.change import Change, close
from prizewire_payouts.payouts.domain.model import Attempt
from prizewire_payouts.payouts.domain.states import AttemptState, PayoutState, Unknown
from prizewire_payouts.payouts.ports import Payouts
from prizewire_payouts.rails.ports import Rail

_LIMIT_WAIT_MAX = timedelta(hours=1)
_RETURN_WAIT_MAX = timedelta(days=1)
_LIMIT_SPREAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Times and bounds of the workers.

    The first ``polls_flat`` looks at a payment are ``poll`` apart, after that each gap doubles up to
    ``poll_max``. ``lease`` is how long a call may be under way before the attempt counts as lost.
    """

    poll: timedelta
    polls_flat: int
    poll_max: timedelta
    retry_first: timedelta
    retry_max: timedelta
    attempts_max: int
    lease: timedelta
    returns_watched: timedelta

    def look_again_in(self, *, polls: int) -> timedelta:
        """How long to wait after look number ``polls`` (from 1)."""
        return _doubled(self.poll, times=polls - self.polls_flat, most=self.poll_max)

    def look_for_return_in(self, *, looks: int) -> timedelta:
        """How long to wait with the next look at a paid payout, after ``looks`` of them: as long as all looks that are ``poll``
        apart take together, then four times as long each time, up to a day. A return comes late, is found by the rail's webhook
        first, and looks take calls from payments.
        """
        factor: int = 4 ** max(0, min(looks, 15))
        return min(self.poll * self.polls_flat * factor, _RETURN_WAIT_MAX)

    def retry_in(self, *, attempt_no: int, provider_key: UUID, at_least_s: int | None = None) -> timedelta:
        """How long to wait after attempt ``attempt_no`` was proved without effect.

        Doubles with each attempt; up to half of it is taken off by the key, so that many do not come at once.
        """
        full = _doubled(self.retry_first, times=attempt_no - 1, most=self.retry_max)
        wait = full - full * (provider_key.int % 500) / 1000
        return max(wait, timedelta(seconds=at_least_s or 0))

    def limit_again_in(self, *, now: datetime, provider_key: UUID) -> timedelta:
        """How long to wait after a limit of the signer was reached: until its day (UTC) turns over, but no longer
        than an hour, so that a limit that was raised is noticed; then spread over five minutes by the key.
        """
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        rest_of_day = today + timedelta(days=1) - now
        return min(rest_of_day, _LIMIT_WAIT_MAX) + _LIMIT_SPREAD * (provider_key.int % 500) / 500


def _doubled(gap: timedelta, *, times: int, most: timedelta) -> timedelta:
    factor: int = 2 ** max(0, min(times, 30))
    return min(gap * factor, most)


_CALLED = frozenset({AttemptState.OPENED, AttemptState.SENT})
"""States of an attempt whose call may be under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusQuery:
    """A payout to ask its rail about; ``cancel`` where the rail is first asked to cancel it."""

    reference: PayoutReference
    correlation_id: str
    cancel: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A rail's message about a payment, which it names by our provider key or by its own reference. It is only a reason to
    ask the rail, never a fact.
    """

    rail: str
    provider_key: UUID | None
    provider_ref: str | None


async def apply_hints(payouts: Payouts, hints: Sequence[Hint], *, now: datetime) -> int:
    """Have the rails asked at once about the payments that hints name; returns how many payouts are concerned.

    A hint about an unknown payment, or about one that has ended, changes nothing.
    """
    keys = [hint.provider_key for hint in hints if hint.provider_key is not None]
    references = [(hint.rail, hint.provider_ref) for hint in hints if hint.provider_ref is not None]
    return await payouts.look_up_now(keys=keys, references=references, now=now)


async def claim_status_queries(
    payouts: Payouts, *, rail: Rail, schedule: Schedule, now: datetime, limit: int
) -> list[StatusQuery]:
    """Claim up to ``limit`` payouts of ``rail`` whose look-up is due.

    The worker of a payout that is still ``submitting`` when its lease has ended is gone: the payout becomes unknown, and
    is looked up by its key like any other.

    A call may be under way until its lease has ended, counted from the opening of the attempt: until then the rail is not
    asked, since "not found" would prove nothing. Only the attempt's own rail is asked.
    """
    cause = f"watch:{rail.name}"
    queries: list[StatusQuery] = []
    for change in await payouts.lock_watched(rail=rail.name, now=now, limit=limit):
        payout, attempt = change.payout, change.attempt
        if attempt is None:
            # a close was refused although nothing was attempted: there is nothing to prove, so close again
            close(
                change=change,
                to=payout.ends_as or PayoutState.CLOSING_FAILED,
                code=payout.code or PayoutCode.NOT_SUPPORTED,
                cause=cause,
                actor=cause,
                now=now,
            )
            continue
        lease_ends = attempt.opened_at + schedule.lease
        under_way = attempt.state in _CALLED or not attempt.authentic
        if attempt.rail != rail.name or (under_way and now < lease_ends):
            change.set(due_at=max(lease_ends, now + schedule.poll))
            continue
        if payout.state is PayoutState.SUBMITTING:
            change.move_attempt(
                to=AttemptState.AMBIGUOUS, cause=cause, now=now, code=PayoutCode.OUTCOME_UNKNOWN
            )
            move_to_unknown(change, attempt, code=PayoutCode.OUTCOME_UNKNOWN, cause=cause, now=now)
        change.set(due_at=now + schedule.lease, polls=payout.polls + 1)
        requested = payout.cancel_asked_by is not None and payout.cancel_answer is None
        queries.append(
            StatusQuery(
                reference=PayoutReference(
                    payout_id=payout.payout_id,
                    attempt_no=attempt.attempt_no,
                    provider_key=provider_key(payout_id=payout.payout_id, attempt_no=attempt.attempt_no),
                    amount=payout.amount,
                    provider_ref=attempt.provider_ref,
                ),
                correlation_id=payout.correlation_id,
                cancel=requested and rail.capabilities.can_cancel and payout.state is not PayoutState.PAID,
            )
        )
    await payouts.save()
    return queries


def move_to_unknown(change: Change, attempt: Attempt, *, code: str, cause: str, now: datetime) -> None:
    """The outcome of the payout's attempt is not known."""
    change.move(to=PayoutState.UNKNOWN, cause=cause, actor=cause.partition(":")[0], code=code, now=now)
    change.emit(event=Unknown(attempt_no=attempt.attempt_no, rail=attempt.rail, code=code), cause=cause)
