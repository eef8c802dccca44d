"""Deliveries: created with their event, claimed lane by lane, updated after each attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prizewire_webhooks.outbound.domain.decisions import (
    GIVE_UP_AFTER,
    LEASE,
    Effect,
    Outcome,
    Verdict,
    classify,
    decide,
)
from prizewire_webhooks.outbound.domain.model import Answer, PublicEvent, Task
from prizewire_webhooks.outbound.domain.states import (
    DeliveryState,
    SubscriptionState,
    check_delivery,
    check_subscription,
)
from prizewire_webhooks.outbound.ports import DeliveryStore, Standing, Stored, UnitOfWork

_OPEN = (SubscriptionState.ACTIVE, SubscriptionState.FAILING)


@dataclass(frozen=True, slots=True)
class Settled:
    """What was recorded. ``counted`` is False when another worker had taken the delivery over; ``disabled`` is how
    the subscription stood when its endpoint's 410 ended it.
    """

    verdict: Verdict
    counted: bool
    disabled: Standing | None = None


async def take_in(events: Sequence[PublicEvent], *, store: DeliveryStore, now: datetime) -> Stored:
    """Store a batch of events and their deliveries, in the batch's transaction."""
    return await store.take_in(events, now=now, give_up_at=now + GIVE_UP_AFTER)


async def claim(*, store: DeliveryStore, now: datetime, limit: int, per_subscription: int) -> list[Task]:
    """Lease what may be sent now. The attempt is stored before it begins."""
    return await store.claim(now=now, lease_until=now + LEASE, limit=limit, per_subscription=per_subscription)


async def settle(
    task: Task,
    answer: Answer,
    *,
    unit_of_work: UnitOfWork,
    now: datetime,
    jitter: float,
) -> Settled:
    """Record the outcome of an attempt, for the delivery and for its subscription.

    Locks are taken in one order: registry (only to disable), subscription, delivery.
    """
    outcome = classify(answer)
    if outcome is Outcome.GONE:
        await unit_of_work.subscriptions.lock_registry()
    if outcome is Outcome.DELIVERED:
        await unit_of_work.deliveries.recover(task.subscription_id, cause=task.event_id, now=now)
        standing = Standing(state=SubscriptionState.ACTIVE, failures=0, host="")
    else:
        standing = await unit_of_work.deliveries.standing(task.subscription_id)
    verdict = decide(
        task=task,
        answer=answer,
        subscription=standing.state,
        failures=standing.failures,
        now=now,
        jitter=jitter,
    )
    check_delivery(DeliveryState.SENDING, verdict.state)
    if not await unit_of_work.deliveries.finish(task, verdict=verdict, answer=answer, now=now):
        return Settled(verdict, counted=False)
    disabled = await _follow(task, verdict, standing, unit_of_work=unit_of_work, now=now)
    return Settled(verdict, counted=True, disabled=disabled)


async def _follow(
    task: Task,
    verdict: Verdict,
    standing: Standing,
    *,
    unit_of_work: UnitOfWork,
    now: datetime,
) -> Standing | None:
    """What an outcome means for its subscription; answers how it stood when it was disabled."""
    if verdict.outcome is Outcome.DELIVERED or verdict.effect is Effect.NONE or standing.state not in _OPEN:
        return None
    if verdict.effect is Effect.DISABLE:
        check_subscription(standing.state, SubscriptionState.DISABLED)
        await unit_of_work.subscriptions.end(
            task.subscription_id,
            old=standing.state,
            new=SubscriptionState.DISABLED,
            reason="gone",
            cause=task.event_id,
            now=now,
        )
        return standing
    if verdict.effect is Effect.RECOVER:
        await unit_of_work.deliveries.recover(task.subscription_id, cause=task.event_id, now=now)
    elif standing.state is SubscriptionState.ACTIVE or task.probe:
        await unit_of_work.deliveries.pause(
            task.subscription_id,
            old=standing.state,
            failures=standing.failures + 1,
            probe_at=verdict.probe_at,
            cause=task.event_id,
            now=now,
        )
    return None
