"""Deliveries on real PostgreSQL to a real HTTP server: order, retries, pauses, ends, crashes."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import asyncpg
import orjson
import pytest
from standardwebhooks import Webhook

from prizewire_chassis.clock import ManualClock
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.testing import event_bytes, make_key, records, watch_statements
from prizewire_contracts.events.payouts import PayoutSubmitted, PayoutSubmittedEvent
from prizewire_contracts.topics import PAYOUTS
from prizewire_devstack.waiting import eventually
from prizewire_webhooks.outbound.domain.decisions import GIVE_UP_AFTER, LEASE, REFUSALS_MAX, WAITS_S
from prizewire_webhooks.outbound.domain.model import Answer, PublicEvent, RemoveSubscription
from prizewire_webhooks.outbound.handlers import deliveries, subscriptions
from prizewire_webhooks.outbound.storage import open_unit_of_work
from prizewire_webhooks.outbound.storage.deliveries import SqlDeliveries
from services.webhooks.tests.conftest import World, paid_event

SECOND = timedelta(seconds=1)
FALSE_HISTORY = (
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, at) "
    "SELECT 'delivery', delivery_id::text, 'pending', 'dead', 'x', changed_at FROM deliveries"
)
LATE_END = (
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, at) "
    "SELECT 'delivery', '1', u.was, u.becomes, 'x', '2020-01-01T00:00:00Z' FROM unnest("
    "ARRAY['delivered', 'sending'], ARRAY['sending', 'delivered']) WITH ORDINALITY AS u(was, becomes, n) ORDER BY u.n"
)
LEASED_BY_HAND = (
    "WITH moved AS (UPDATE deliveries SET state = 'sending', lease_until = now() WHERE delivery_id = 2) "
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, at) "
    "VALUES ('delivery', '2', 'pending', 'sending', 'x', now())"
)


async def test_a_subscriber_gets_the_signed_public_event(world: World):
    """payout.paid arrives once, verifiable by the reference library, without our internal signature."""
    _, secret = await world.subscribe()
    event = paid_event(correlation_id="c-1")
    await world.publish(event)
    await world.pump()
    (request,) = world.receiver.seen
    body = Webhook(secret).verify(request.body, dict(request.headers))
    assert request.event_id == body["id"] == event.event_id
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    assert (body["type"], body["correlationid"], body["data"]["amount"]) == (
        "prizewire.payout.paid.v1", "c-1", "12.50",
    )  # fmt: skip
    published = orjson.loads(event.value)
    assert published.keys() - body.keys() == {"keyid", "signature", "traceparent"}
    assert all(published[name] == body[name] for name in body)
    assert await world.states() == ["delivered"]
    (attempt,) = await world.rows("SELECT * FROM attempts")
    assert (attempt.outcome, attempt.status, attempt.number) == ("delivered", 204, 1)
    assert attempt.latency_ms is not None
    assert await world.breaches() == []


async def test_only_matching_subscriptions_get_an_event(world: World):
    """Other types, later subscriptions and ended ones get nothing; a repeated event makes no second delivery."""
    await world.subscribe(types=["payout.failed"])
    wanted, _ = await world.subscribe()
    ended, _ = await world.subscribe()
    command = RemoveSubscription(subscription_id=ended, actor="studio")
    async with world.db.transaction() as tx:
        await subscriptions.remove(command, store=open_unit_of_work(tx).subscriptions, now=world.clock.now())
    event = paid_event(correlation_id="c")
    await world.publish(event, event)
    await world.publish(event)
    await world.subscribe()
    rows = await world.rows("SELECT subscription_id FROM deliveries")
    assert [row.subscription_id for row in rows] == [wanted]
    assert await world.breaches() == []


async def test_a_forged_event_is_not_delivered(world: World):
    """An event that payouts did not sign is dead and reaches nobody."""
    await world.subscribe()
    raw = orjson.loads(paid_event(correlation_id="c").value)
    forged = event_bytes(
        topic=PAYOUTS.name, kind=raw["type"], source=raw["source"], subject=raw["subject"], data=raw["data"],
        key=make_key("rewards"), correlationid="c", aggregateversion=1,
    )  # fmt: skip
    await world.processor.process(world.spec, records(forged, topic=PAYOUTS.name))
    await world.pump()
    assert world.receiver.seen == []
    assert [row.state for row in await world.rows("SELECT state FROM stuck_events")] == ["dead"]


async def test_a_batch_costs_a_fixed_number_of_statements(world: World):
    """Two events or two hundred, for one subscription or five: the same statements."""
    for _ in range(5):
        await world.subscribe()
    counts = []
    for size in (2, 200):
        events = [paid_event(correlation_id=f"c-{size}-{number % 7}") for number in range(size)]
        statements: list[str] = []
        with watch_statements(world.db, statements.append):
            await world.publish(*events)
        counts.append(len(statements))
    assert counts[0] == counts[1] > 3
    assert len(await world.states()) == 5 * 202
    assert await world.breaches() == []


async def test_a_lane_is_in_order_and_lanes_run_beside_each_other(world: World):
    """Events of one correlation id arrive one after the other, those of others meanwhile."""
    await world.subscribe()
    release = asyncio.Event()
    first = paid_event(correlation_id="slow")

    async def answer(request):
        if request.event_id == first.event_id:
            await release.wait()
        return 204, {}, b""

    world.receiver.answer = answer
    second = paid_event(correlation_id="slow")
    others = [paid_event(correlation_id=f"other-{number}") for number in range(5)]
    await world.publish(first, second, *others)
    await world.deliverer.run()
    await eventually(lambda: len(world.receiver.seen) == 6)
    await world.deliverer.run()
    assert second.event_id not in {request.event_id for request in world.receiver.seen}
    release.set()
    await world.deliverer.idle()
    await world.pump()
    assert world.receiver.seen[-1].event_id == second.event_id
    assert await world.breaches() == []


async def test_no_more_than_its_share_goes_to_one_subscription(world: World):
    """A hanging subscriber holds a few slots; another one's deliveries pass."""
    await world.subscribe()
    other = type(world.receiver)()
    stop = await other.start()
    await world.subscribe(url=other.url)
    release = asyncio.Event()

    async def never_answer(_):
        await release.wait()
        return 204, {}, b""

    world.receiver.answer = never_answer
    await world.publish(*[paid_event(correlation_id=f"c-{number}") for number in range(30)])

    async def others_done() -> bool:
        await world.deliverer.run()
        return len(other.seen) == 30

    await eventually(others_done)
    assert len(world.receiver.seen) <= 8
    release.set()
    await world.deliverer.idle()
    await world.pump()
    await stop()
    assert world.receiver.most_at_once <= 8
    assert Counter(await world.states()) == {"delivered": 60}


async def test_a_failing_endpoint_is_paused_behind_one_probe(world: World):
    """After failures only one attempt goes out at each growing interval; a good answer opens the gates again."""
    subscription, _ = await world.subscribe()
    well = False
    world.receiver.answer = lambda _: (204 if well else 500, {}, b"")
    await world.publish(*[paid_event(correlation_id=f"c-{number}") for number in range(12)])
    await world.pump()
    assert await world.subscription_state(subscription) == "failing"
    assert len(world.receiver.seen) <= 8
    for wait_s in WAITS_S[:3]:
        before = len(world.receiver.seen)
        world.clock.advance(timedelta(seconds=wait_s * 0.7))
        await world.pump()
        assert len(world.receiver.seen) == before
        world.clock.advance(timedelta(seconds=wait_s * 0.6))
        await world.pump()
        assert len(world.receiver.seen) == before + 1
    well = True
    world.clock.advance(timedelta(seconds=WAITS_S[3] * 1.3))
    await world.pump()
    assert await world.subscription_state(subscription) == "active"
    world.clock.advance(timedelta(seconds=WAITS_S[4] * 1.3))
    await world.pump()
    assert Counter(await world.states()) == {"delivered": 12}
    assert await world.breaches() == []


async def test_two_workers_send_one_probe(world: World):
    """However many workers look, a failing endpoint gets one attempt, also while that attempt hangs."""
    await world.subscribe()
    world.receiver.answer = lambda _: (500, {}, b"")
    await world.publish(*[paid_event(correlation_id=f"c-{number}") for number in range(12)])
    await world.pump()
    world.clock.advance(timedelta(seconds=WAITS_S[0] * 1.3))
    before = len(world.receiver.seen)
    release = asyncio.Event()

    async def never_answer(_):
        await release.wait()
        return 500, {}, b""

    world.receiver.answer = never_answer
    workers = [world.deliverer, *(world.another_deliverer() for _ in range(3))]
    await asyncio.gather(*(worker.run() for worker in workers))
    for worker in workers:
        await worker.run()
    assert sum(len(worker._running) for worker in workers) == 1
    release.set()
    await asyncio.gather(*(worker.idle() for worker in workers))
    assert len(world.receiver.seen) == before + 1


async def test_a_delivery_is_leased_to_one_worker(world: World):
    """Eight workers that claim as fast as they can never get the same delivery."""
    await world.subscribe()
    await world.publish(*[paid_event(correlation_id=f"c-{number}") for number in range(150)])
    leased: list[int] = []

    async def worker() -> None:
        while True:
            async with world.db.transaction() as tx:
                claimed = await deliveries.claim(
                    store=SqlDeliveries(tx), now=world.clock.now(), limit=2, per_subscription=1000
                )
            leased.extend(task.delivery_id for task in claimed)
            if not claimed and len(leased) >= 150:
                return

    await asyncio.wait_for(asyncio.gather(*(worker() for _ in range(8))), timeout=600)
    assert len(leased) == len(set(leased)) == 150


async def test_events_that_are_not_public_are_not_stored(world: World):
    """An event type that is not on offer is neither stored nor delivered."""
    await world.subscribe()
    payout = uuid4()
    data = PayoutSubmitted(payout_id=payout, attempt_no=1, rail="fake", provider_key=uuid4())
    outbox = Outbox(service="payouts", key=make_key("payouts"), clock=world.clock)
    await world.publish(
        outbox.event(PayoutSubmittedEvent, data, subject=str(payout), version=1, correlation_id="c")
    )
    assert await world.rows("SELECT 1 FROM public_events") == []
    assert await world.rows("SELECT 1 FROM stuck_events") == []


async def test_workers_beside_each_other_send_each_delivery_once(world: World):
    """Four workers claim with SKIP LOCKED: every delivery is sent once, in the order of its lane."""
    await world.subscribe()
    events = [paid_event(correlation_id=f"c-{number % 20}") for number in range(100)]
    await world.publish(*events)
    workers = [world.deliverer, *(world.another_deliverer(slots=4) for _ in range(3))]

    async def done() -> bool:
        await asyncio.gather(*(worker.run() for worker in workers))
        return len(world.receiver.seen) >= 100

    await eventually(done)
    await asyncio.gather(*(worker.idle() for worker in workers))
    assert sorted(request.event_id for request in world.receiver.seen) == sorted(e.event_id for e in events)
    for lane in range(20):
        sent = [
            request.event_id
            for request in world.receiver.seen
            if orjson.loads(request.body)["correlationid"] == f"c-{lane}"
        ]
        assert sent == [event.event_id for event in events[lane::20]]
    assert await world.breaches() == []


async def test_retry_after_is_honoured(world: World):
    """Nothing is sent before the endpoint's own time has passed."""
    await world.subscribe()
    world.receiver.answer = lambda _: (429, {"retry-after": "1000"}, b"")
    await world.publish(paid_event(correlation_id="c"))
    await world.pump()
    world.clock.advance(990 * SECOND)
    await world.pump()
    assert len(world.receiver.seen) == 1
    world.clock.advance(20 * SECOND)
    await world.pump()
    assert len(world.receiver.seen) == 2


async def test_a_refused_event_dies_and_frees_its_lane(world: World):
    """4xx holds its own lane only, and after some tries the lane goes on."""
    subscription, _ = await world.subscribe()
    bad = paid_event(correlation_id="c-1")
    behind, beside = paid_event(correlation_id="c-1"), paid_event(correlation_id="c-2")
    world.receiver.answer = lambda request: (422 if request.event_id == bad.event_id else 200, {}, b"no")
    await world.publish(bad, behind, beside)
    await world.pump()
    assert await world.states() == ["pending", "pending", "delivered"]
    assert await world.subscription_state(subscription) == "active"
    for wait_s in WAITS_S[: REFUSALS_MAX - 1]:
        world.clock.advance(timedelta(seconds=wait_s * 1.3))
        await world.pump()
    assert await world.states() == ["dead", "delivered", "delivered"]
    rows = await world.rows("SELECT outcome, status, response FROM attempts WHERE status = 422")
    assert [(row.outcome, row.response) for row in rows] == [("refused", "no")] * REFUSALS_MAX
    assert await world.breaches() == []


async def test_gone_disables_the_subscription(world: World):
    """410 ends the subscription, drops what waits, is audited, and later events are not collected for it."""
    subscription, _ = await world.subscribe()
    world.receiver.answer = lambda _: (410, {}, b"")
    await world.publish(paid_event(correlation_id="c"), paid_event(correlation_id="c"))
    await world.pump()
    await world.publish(paid_event(correlation_id="d"))
    await world.pump()
    assert await world.subscription_state(subscription) == "disabled"
    assert await world.states() == ["dead", "dropped"]
    assert len(world.receiver.seen) == 1
    (record,) = await world.rows("SELECT action, target, reason FROM audit_log")
    assert (record.action, record.target, record.reason) == (
        "subscription.disabled", str(subscription), "gone",
    )  # fmt: skip
    assert await world.breaches() == []


async def test_after_three_days_it_is_dead(world: World):
    """An endpoint that fails for three days gets its deliveries no more; those behind die with the probe."""
    await world.subscribe()
    world.receiver.answer = lambda _: (503, {}, b"")
    await world.publish(*[paid_event(correlation_id=f"c-{number}") for number in range(20)])
    end = world.clock.now() + GIVE_UP_AFTER + timedelta(days=1)
    while world.clock.now() < end:
        await world.pump()
        world.clock.advance(timedelta(hours=1))
    assert set(await world.states()) == {"dead"}
    assert await world.breaches() == []
    before = len(world.receiver.seen)
    world.clock.advance(timedelta(days=2))
    await world.pump()
    assert len(world.receiver.seen) == before


async def test_a_claim_whose_worker_died_is_sent_again_under_its_id(world: World):
    """Once the lease has ended another worker sends it; the lost attempt stays on record."""
    await world.subscribe()
    event = paid_event(correlation_id="c")
    await world.publish(event)
    async with world.db.transaction() as tx:
        claimed = await deliveries.claim(
            store=SqlDeliveries(tx), now=world.clock.now(), limit=9, per_subscription=9
        )
    assert [task.event_id for task in claimed] == [event.event_id]
    await world.pump()
    assert world.receiver.seen == []
    world.clock.advance(LEASE)
    await world.pump()
    assert [request.event_id for request in world.receiver.seen] == [event.event_id]
    rows = await world.rows("SELECT outcome FROM attempts ORDER BY number")
    assert [row.outcome for row in rows] == ["lost", "delivered"]
    assert await world.states() == ["delivered"]
    # the first worker was only slow: what it says now is too late
    late = Answer(status=500, latency_ms=1)
    async with world.db.transaction() as tx:
        settled = await deliveries.settle(
            claimed[0],
            late,
            unit_of_work=open_unit_of_work(tx),
            now=world.clock.now(),
            jitter=0.5,
        )
    assert not settled.counted
    assert await world.states() == ["delivered"]
    assert await world.breaches() == []


async def test_a_worker_with_a_late_clock_keeps_the_order(world: World):
    """A claim that has seen the end before it is in order, though its time was read before that end's."""
    await world.subscribe()
    await world.publish(paid_event(correlation_id="c"), paid_event(correlation_id="c"))
    behind = world.clock.now()
    await world.deliverer.run()
    world.clock.advance(SECOND)
    await world.deliverer.idle()
    assert await world.states() == ["delivered", "pending"]
    slow = world.another_deliverer(clock=ManualClock(behind))
    await slow.run()
    await slow.idle()
    assert await world.states() == ["delivered", "delivered"]
    (first,) = await world.rows("SELECT changed_at FROM deliveries WHERE delivery_id = 1")
    (second,) = await world.rows("SELECT started_at FROM attempts WHERE delivery_id = 2")
    assert second.started_at < first.changed_at
    assert await world.breaches() == []


async def test_an_open_head_that_was_overtaken_is_seen(world: World):
    """A delivery that left while the one before it on its lane was still out breaks the lane's order."""
    await world.subscribe()
    await world.publish(paid_event(correlation_id="c"), paid_event(correlation_id="c"))
    async with world.db.transaction() as tx:
        (head,) = await deliveries.claim(
            store=SqlDeliveries(tx), now=world.clock.now(), limit=9, per_subscription=9
        )
    assert head.delivery_id == 1
    assert await world.breaches() == []
    async with world.db.transaction() as tx:
        await tx.exec_driver_sql(LEASED_BY_HAND)
    assert await world.breaches() == ["delivery 2 was sent before delivery 1 had ended"]


async def test_concurrent_batches_keep_the_order_of_sent_events(world: World):
    """While one batch is matched, the next one's deliveries of the same lane cannot be seen, nor sent, before it."""
    await world.subscribe()
    first, second = paid_event(correlation_id="c"), paid_event(correlation_id="c")
    raw = orjson.loads(first.value)
    event = PublicEvent(
        event_id=raw["id"],
        source=raw["source"],
        type=raw["type"],
        subject=raw["subject"],
        correlation_id="c",
        message=first.value,
    )

    async def next_one_waits() -> bool:
        return beside.done() or bool(await world.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

    async with world.db.transaction() as tx:
        await deliveries.take_in([event], store=SqlDeliveries(tx), now=world.clock.now())
        beside = asyncio.create_task(world.publish(second))
        await eventually(next_one_waits)
        await world.pump()
        assert world.receiver.seen == []
    await beside
    await world.pump()
    assert [request.event_id for request in world.receiver.seen] == [first.event_id, second.event_id]
    assert await world.breaches() == []


async def test_a_lease_of_a_dead_worker_for_an_ended_subscription_is_dropped(world: World):
    """A leased delivery of a removed subscription does not stay open for ever."""
    subscription, _ = await world.subscribe()
    await world.publish(paid_event(correlation_id="c"))
    async with world.db.transaction() as tx:
        await deliveries.claim(store=SqlDeliveries(tx), now=world.clock.now(), limit=9, per_subscription=9)
    command = RemoveSubscription(subscription_id=subscription, actor="admin")
    async with world.db.transaction() as tx:
        await subscriptions.remove(command, store=open_unit_of_work(tx).subscriptions, now=world.clock.now())
    world.clock.advance(LEASE)
    async with world.db.transaction() as tx:
        assert await SqlDeliveries(tx).drop_orphans(now=world.clock.now()) == 1
    assert await world.states() == ["dropped"]
    assert await world.breaches() == []


async def test_no_event_falls_between_a_new_subscription_and_a_batch(world: World):
    """However batches and new subscriptions interleave, each event is clearly before or after."""

    async def publish(number: int) -> None:
        batch = records(
            *[paid_event(correlation_id=f"r-{number}") for _ in range(3)],
            topic=PAYOUTS.name,
            start=number * 3,
        )
        await world.processor.process(world.spec, batch)

    work = [publish(number) for number in range(20)]
    for number in range(10):
        work.insert(number * 3, world.subscribe(owner=f"o-{number}"))
    await asyncio.gather(*work)
    assert len(await world.rows("SELECT 1 FROM public_events")) == 60
    assert await world.breaches() == []


@pytest.mark.parametrize(
    ("damage", "breach"),
    [
        ("DELETE FROM deliveries", "has no delivery"),
        ("UPDATE subscriptions SET event_types = '{prizewire.payout.failed.v1}'", "was not wanted"),
        ("UPDATE attempts SET outcome = 'failed'", "with 0 successful attempts"),
        (LATE_END, "delivery 2 was sent before delivery 1 had ended"),
        (FALSE_HISTORY, "does not lead"),
    ],
)  # fmt: skip
async def test_the_checks_see_damage(world: World, damage: str, breach: str):
    """Each invariant is broken by hand, and its check says so."""
    await world.subscribe()
    await world.publish(paid_event(correlation_id="c"), paid_event(correlation_id="c"))
    await world.pump()
    assert await world.breaches() == []
    owner = await asyncpg.connect(world.migration_url)
    if damage.startswith("DELETE"):
        await owner.execute("DELETE FROM attempts")
    await owner.execute(damage)
    await owner.close()
    assert any(breach in found for found in await world.breaches())
