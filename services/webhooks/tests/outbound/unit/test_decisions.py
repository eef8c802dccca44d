"""What follows from an attempt."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from prizewire_webhooks.outbound.domain.decisions import (
    ATTEMPTS_MAX,
    GIVE_UP_AFTER,
    LEASE,
    REFUSALS_MAX,
    SEND_TIMEOUT_S,
    WAITS_S,
    Effect,
    Outcome,
    classify,
    decide,
    wait_after,
)
from prizewire_webhooks.outbound.domain.model import Answer, PublicEvent, Task, Unverified
from prizewire_webhooks.outbound.domain.states import DELIVERY_EDGES, DeliveryState, SubscriptionState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = PublicEvent(event_id="evt-1", source="s", type="t", subject="x", correlation_id="c", message=b"{}")
TASK = Task(
    delivery_id=1, number=1, refusals=0, probe=False, give_up_at=NOW + GIVE_UP_AFTER, subscription_id=UUID(int=1),
    url="https://example.com/", secrets=(), event=EVENT, wanted=True, correlation_id="c", event_taken_at=NOW,
)  # fmt: skip


def answer(status, **more):
    return Answer(status=status, latency_ms=1, **more)


def verdict(task, given, *, state=SubscriptionState.ACTIVE, failures=0, now=NOW):
    return decide(task=task, answer=given, subscription=state, failures=failures, now=now, jitter=0.5)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED), (204, Outcome.DELIVERED), (299, Outcome.DELIVERED), (301, Outcome.FAILED),
        (307, Outcome.FAILED), (400, Outcome.REFUSED), (401, Outcome.REFUSED), (404, Outcome.REFUSED),
        (408, Outcome.FAILED), (410, Outcome.GONE), (425, Outcome.FAILED), (429, Outcome.FAILED), (500, Outcome.FAILED),
        (503, Outcome.FAILED), (100, Outcome.FAILED), (None, Outcome.FAILED),
    ],
)  # fmt: skip
def test_answers_are_read(status, outcome):
    """2xx is success, 410 ends, 4xx refuses the event, all else is the endpoint's failure."""
    assert classify(answer(status)) is outcome


def test_waits_span_three_days():
    """The table grows and adds up to between 70 and 72 hours."""
    assert sorted(WAITS_S) == list(WAITS_S)
    assert timedelta(hours=70) < timedelta(seconds=sum(WAITS_S)) <= GIVE_UP_AFTER


def test_a_lease_outlasts_an_attempt():
    """A delivery under way is not sent again while its time-out still runs."""
    assert LEASE.total_seconds() >= 2 * SEND_TIMEOUT_S


def test_jitter_spreads_by_a_fifth():
    """Chance moves a wait between 80 and 120 percent of the table's."""
    waits = [wait_after(tries=2, retry_after_s=None, jitter=jitter).total_seconds() for jitter in (0, 0.5, 1)]
    assert waits == pytest.approx([48, 60, 72])


def test_retry_after_is_honoured_up_to_a_day():
    """The endpoint may ask for more time than the table, not for less, and not for ever."""
    assert wait_after(tries=1, retry_after_s=600, jitter=0.5) == timedelta(seconds=600)
    assert wait_after(tries=3, retry_after_s=1, jitter=0.5) == timedelta(seconds=300)
    assert wait_after(tries=1, retry_after_s=10**9, jitter=0.5) == timedelta(days=1)
    paused = verdict(TASK, answer(503, retry_after_s=900))
    assert paused.due_at == paused.probe_at == NOW + timedelta(seconds=900)


def test_a_failing_endpoint_pauses_and_its_pauses_grow():
    """The subscription's wait follows its own count, the delivery's its number of tries."""
    found = verdict(
        replace(TASK, number=2), answer(None, code="timeout"), state=SubscriptionState.FAILING, failures=4
    )
    assert (found.state, found.effect) == (DeliveryState.PENDING, Effect.PAUSE)
    assert found.due_at == NOW + timedelta(seconds=WAITS_S[1])
    assert found.probe_at == NOW + timedelta(seconds=WAITS_S[4])


def test_a_refused_event_dies_after_some_tries_and_its_endpoint_is_well():
    """4xx counts against the event alone."""
    tried = verdict(replace(TASK, refusals=REFUSALS_MAX - 2), answer(422))
    assert (tried.state, tried.effect) == (DeliveryState.PENDING, Effect.RECOVER)
    last = verdict(replace(TASK, refusals=REFUSALS_MAX - 1), answer(422))
    assert last.state is DeliveryState.DEAD


def test_tries_and_time_end():
    """The last try of the table, or one past three days, is the last."""
    assert verdict(replace(TASK, number=ATTEMPTS_MAX), answer(500)).state is DeliveryState.DEAD
    assert verdict(replace(TASK, number=ATTEMPTS_MAX - 1), answer(500)).state is DeliveryState.PENDING
    assert verdict(TASK, answer(500), now=NOW + GIVE_UP_AFTER).state is DeliveryState.DEAD


def test_gone_disables():
    """410 ends the delivery and its subscription."""
    found = verdict(TASK, answer(410))
    assert (found.state, found.effect) == (DeliveryState.DEAD, Effect.DISABLE)


@pytest.mark.parametrize("code", sorted(set(Unverified) - {Unverified.KEY_NOT_TRUSTED}))
def test_an_event_that_is_not_verified_ends_its_delivery_alone(code):
    """The delivery is dead at once, and its subscription stays as it is."""
    for state in SubscriptionState:
        found = verdict(TASK, answer(None, code=code), state=state)
        assert (found.outcome, found.state, found.effect) == (
            Outcome.UNVERIFIED, DeliveryState.DEAD, Effect.NONE,
        )  # fmt: skip


def test_a_key_that_is_missing_is_waited_for():
    """The delivery is tried again for three days, and its subscription stays as it is."""
    missing = answer(None, code=Unverified.KEY_NOT_TRUSTED)
    found = verdict(TASK, missing)
    assert (found.outcome, found.state, found.effect) == (
        Outcome.UNVERIFIED, DeliveryState.PENDING, Effect.NONE,
    )  # fmt: skip
    assert found.due_at == NOW + timedelta(seconds=WAITS_S[0])
    assert verdict(TASK, missing, now=NOW + GIVE_UP_AFTER).state is DeliveryState.DEAD


def test_nothing_goes_back_to_wait_for_an_ended_subscription():
    """A failure after the end is dropped; a success still counts."""
    assert verdict(TASK, answer(500), state=SubscriptionState.DELETED).state is DeliveryState.DROPPED
    assert verdict(TASK, answer(200), state=SubscriptionState.DELETED).state is DeliveryState.DELIVERED


def test_every_verdict_is_an_edge():
    """Whatever comes of an attempt, the state machine has the edge."""
    for status in (None, 200, 301, 404, 410, 429, 500):
        for state in SubscriptionState:
            found = verdict(TASK, answer(status), state=state)
            assert (DeliveryState.SENDING, found.state) in DELIVERY_EDGES
