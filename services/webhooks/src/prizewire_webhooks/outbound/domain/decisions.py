"""What follows from an attempt. The waits are data; chance (``jitter``, 0 to 1) and time are passed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from prizewire_webhooks.outbound.domain.model import Answer, Task, Unverified
from prizewire_webhooks.outbound.domain.states import DeliveryState, SubscriptionState

SEND_TIMEOUT_S = 15.0
"""An attempt may take this long as a whole, name resolution and reading the answer included."""
LEASE = timedelta(seconds=30)
"""A claimed delivery without an outcome after this long is sent again: twice the time-out."""
PROBE_LEASE = LEASE
WAITS_S: tuple[int, ...] = (5, 60, 300, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 72_000, 86_400)
"""Seconds to wait after the first, second, … attempt in vain: 71.6 hours in all."""
ATTEMPTS_MAX = len(WAITS_S) + 1
GIVE_UP_AFTER = timedelta(days=3)
"""Age after which a delivery is dead once an attempt, its own or a probe of its endpoint, fails."""
REFUSALS_MAX = 5
"""Attempts that an endpoint may refuse (4xx) before the delivery is dead and its lane continues."""
RETRY_AFTER_MAX_S = 86_400
_NOT_THE_EVENTS_FAULT = frozenset({408, 425, 429})
"""4xx statuses about time or load, not about this event."""


class Outcome(StrEnum):
    """What an attempt's answer means."""

    DELIVERED = "delivered"
    GONE = "gone"
    REFUSED = "refused"
    """The endpoint is well and does not want this event."""
    FAILED = "failed"
    """The endpoint is not well, or cannot be reached."""
    UNVERIFIED = "unverified"
    """The event could not be verified, and nothing was sent."""


class Effect(StrEnum):
    """What an attempt means for its subscription."""

    RECOVER = "recover"
    PAUSE = "pause"
    DISABLE = "disable"
    NONE = "none"


_EFFECTS = {
    Outcome.REFUSED: Effect.RECOVER,
    Outcome.FAILED: Effect.PAUSE,
    Outcome.UNVERIFIED: Effect.NONE,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """``state`` is the delivery's next; it is due again at ``due_at`` when that is ``pending``. With ``PAUSE``
    the subscription is probed at ``probe_at``, unless it was paused before and this was no probe.
    """

    outcome: Outcome
    state: DeliveryState
    due_at: datetime
    effect: Effect
    probe_at: datetime


def classify(answer: Answer) -> Outcome:
    """Read an answer: 2xx delivered, 410 gone, other 4xx refused but for those of load, a code of ``Unverified`` unverified,
    all else failed.

    Redirects are not followed (Standard Webhooks), so 3xx is a failure of the endpoint.
    """
    status = answer.status
    if status is None:
        return Outcome.UNVERIFIED if answer.code in frozenset(Unverified) else Outcome.FAILED
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status == 410:
        return Outcome.GONE
    if 400 <= status < 500 and status not in _NOT_THE_EVENTS_FAULT:
        return Outcome.REFUSED
    return Outcome.FAILED


def wait_after(*, tries: int, retry_after_s: int | None, jitter: float) -> timedelta:
    """How long to wait after ``tries`` attempts in vain: the table's wait, a fifth more or less by ``jitter``,
    and never less than the endpoint asked for (at most a day).
    """
    table = WAITS_S[min(max(tries, 1), len(WAITS_S)) - 1]
    spread = timedelta(seconds=table) * (0.8 + 0.4 * jitter)
    asked = timedelta(seconds=min(max(retry_after_s or 0, 0), RETRY_AFTER_MAX_S))
    return max(spread, asked)


def decide(
    *,
    task: Task,
    answer: Answer,
    subscription: SubscriptionState,
    failures: int,
    now: datetime,
    jitter: float,
) -> Verdict:
    """The verdict on an attempt. ``failures`` is the subscription's count before it, ``subscription`` its state."""
    outcome = classify(answer)
    own = now + wait_after(tries=task.number, retry_after_s=answer.retry_after_s, jitter=jitter)
    probe = now + wait_after(tries=failures + 1, retry_after_s=answer.retry_after_s, jitter=jitter)
    if outcome is Outcome.DELIVERED:
        return Verdict(outcome, DeliveryState.DELIVERED, now, Effect.RECOVER, now)
    if outcome is Outcome.GONE:
        return Verdict(outcome, DeliveryState.DEAD, now, Effect.DISABLE, now)
    if outcome is Outcome.UNVERIFIED and answer.code != Unverified.KEY_NOT_TRUSTED:
        return Verdict(outcome, DeliveryState.DEAD, now, Effect.NONE, now)
    effect = _EFFECTS[outcome]
    if subscription in {SubscriptionState.DISABLED, SubscriptionState.DELETED}:
        state = DeliveryState.DROPPED
    elif _used_up(task, outcome, now):
        state = DeliveryState.DEAD
    else:
        state = DeliveryState.PENDING
    return Verdict(outcome, state, own, effect, probe)


def _used_up(task: Task, outcome: Outcome, now: datetime) -> bool:
    if outcome is Outcome.REFUSED and task.refusals + 1 >= REFUSALS_MAX:
        return True
    return task.number >= ATTEMPTS_MAX or now >= task.give_up_at
