"""An attacker with the login of the service's database writes rows: nothing is sent but what payouts signed."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from prizewire_chassis.clock import Clock
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_chassis.testing import event_bytes, make_key, make_trust
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.events.payouts import PayoutHeld, PayoutHeldEvent
from prizewire_contracts.topics import PAYOUTS, REWARDS
from prizewire_webhooks.metrics import ATTEMPTS
from prizewire_webhooks.outbound.domain.decisions import GIVE_UP_AFTER, WAITS_S
from services.webhooks.tests.conftest import World, paid_event

PAID = "prizewire.payout.paid.v1"
INSERT_EVENT = (
    "INSERT INTO public_events (event_id, source, type, subject, correlation_id, message, taken_at) "
    "VALUES (:event_id, :source, :type, :subject, :correlation_id, :message, :now)"
)
WITH_A_BODY = (
    "INSERT INTO public_events (event_id, source, type, subject, correlation_id, message, body, taken_at) "
    "VALUES ('x', 'x', 'x', 'x', 'x', '', '', now())"
)
WITHOUT_A_MESSAGE = (
    "INSERT INTO public_events (event_id, source, type, subject, correlation_id, taken_at) "
    "VALUES ('x', 'x', 'x', 'x', 'x', now())"
)
INSERT_DELIVERY = (
    "WITH made AS (INSERT INTO deliveries (subscription_id, event_id, correlation_id, state, attempts, refusals, due_at, "
    "give_up_at, created_at, changed_at) VALUES (:subscription_id, :event_id, :lane, 'pending', 0, 0, :now, "
    "CAST(:now AS timestamptz) + interval '3 days', :now, :now) RETURNING delivery_id) "
    "INSERT INTO transitions (machine, subject, from_state, to_state, cause, correlation_id, at) "
    "SELECT 'delivery', delivery_id::text, '', 'pending', 'x', :lane, :now FROM made"
)
DELETE_FALSE_ROW = (
    "ALTER TABLE public_events DISABLE TRIGGER public_events_append_only; "
    "DELETE FROM attempts WHERE delivery_id IN (SELECT delivery_id FROM deliveries WHERE event_id = '{0}'); "
    "DELETE FROM deliveries WHERE event_id = '{0}'; DELETE FROM public_events WHERE event_id = '{0}'; "
    "ALTER TABLE public_events ENABLE TRIGGER public_events_append_only"
)
COPY_SECRET = (
    "INSERT INTO subscription_secrets (subscription_id, number, key_id, sealed, created_at) "
    "SELECT CAST(:subscription_id AS uuid), 1, key_id, sealed, created_at FROM subscription_secrets"
)
INSERT_SUBSCRIPTION = (
    "INSERT INTO subscriptions (subscription_id, owner, url, event_types, state, failures, from_seq, created_at, "
    "changed_at) VALUES (:subscription_id, 'x', :url, :types, 'active', 0, 0, :now, :now)"
)


@dataclass(frozen=True)
class Row:
    """A row of ``public_events``, as the attacker writes it; ``lane`` is the delivery's correlation id."""

    event_id: str
    source: str
    type: str
    subject: str
    correlation_id: str
    message: bytes
    lane: str


def row_of(message: bytes, **other: str) -> Row:
    """The row that a message would have, but for ``other``."""
    raw = orjson.loads(message)
    columns = {
        "event_id": raw["id"],
        "source": raw["source"],
        "type": raw["type"],
        "subject": raw["subject"],
        "correlation_id": raw["correlationid"],
        "lane": raw["correlationid"],
    }
    return Row(message=message, **{**columns, **other})


def held_event(clock: Clock) -> bytes:
    """A genuine event of another type than ``payout.paid``."""
    payout = uuid4()
    outbox = Outbox(service="payouts", key=make_key("payouts"), clock=clock)
    data = PayoutHeld(payout_id=payout, reason="limit")
    return outbox.event(PayoutHeldEvent, data, subject=str(payout), version=1, correlation_id="c").value


def signed_by(service: str, *, topic: str = PAYOUTS.name) -> bytes:
    """``payout.paid`` as payouts would write it, signed with this service's key for this topic."""
    raw = orjson.loads(paid_event(correlation_id="c").value)
    return event_bytes(
        topic=topic, kind=raw["type"], source=raw["source"], subject=raw["subject"], data=raw["data"],
        key=make_key(service), correlationid="c", aggregateversion=1,
    )  # fmt: skip


def another_amount() -> bytes:
    """A genuine message whose body was changed."""
    raw = orjson.loads(paid_event(correlation_id="c").value)
    raw["data"]["amount"] = "9999.00"
    return canonical_bytes(raw)


async def insert(world: World, statement: str, **values: object) -> None:
    async with world.db.transaction() as tx:
        await tx.execute(text(statement), values)


async def write(world: World, row: Row, *, subscription_id: UUID) -> None:
    """Write an event with its delivery, with the login that the service uses."""
    columns = {name: value for name, value in vars(row).items() if name != "lane"}
    await insert(world, INSERT_EVENT, **columns, now=world.clock.now())
    await insert(
        world,
        INSERT_DELIVERY,
        subscription_id=subscription_id,
        event_id=row.event_id,
        lane=row.lane,
        now=world.clock.now(),
    )


GENUINE = paid_event(correlation_id="c").value
FORGED = {
    "no signature": (row_of(event_bytes(
        topic=PAYOUTS.name, kind=PAID, source="/prizewire/payouts", subject="p", correlationid="c",
        data=orjson.loads(GENUINE)["data"],
    )), "event_not_authentic"),
    "no event": (Row("e", "s", PAID, "p", "c", b"{}", "c"), "event_not_authentic"),
    "another amount": (row_of(another_amount()), "event_not_authentic"),
    "a topic of rewards": (row_of(signed_by("payouts", topic=REWARDS.name)), "event_not_authentic"),
    "another id": (row_of(GENUINE, event_id=str(uuid4())), "event_differs"),
    "another source": (row_of(GENUINE, source="/prizewire/rewards"), "event_differs"),
    "another subject": (row_of(GENUINE, subject="x"), "event_differs"),
    "another correlation id": (row_of(GENUINE, correlation_id="x", lane="x"), "event_differs"),
    "another lane": (row_of(GENUINE, lane="x"), "event_differs"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "code"), FORGED.values(), ids=FORGED)
async def test_an_event_that_payouts_did_not_sign_is_not_sent(world: World, row: Row, code: str):
    """The delivery is dead with a code. A metric, a log line and a check report it. Its subscription gets later events."""
    subscription, _ = await world.subscribe()
    counted = ATTEMPTS.labels("unverified")._value.get()
    await write(world, row, subscription_id=subscription)
    behind = paid_event(correlation_id=row.lane)
    await world.publish(behind)
    with capture_logs() as logs:
        await world.pump()
    assert [request.event_id for request in world.receiver.seen] == [behind.event_id]
    assert await world.states() == ["dead", "delivered"]
    attempts = await world.rows("SELECT outcome, status, code FROM attempts ORDER BY delivery_id")
    assert [tuple(attempt) for attempt in attempts] == [("unverified", None, code), ("delivered", 204, None)]
    steps = await world.rows("SELECT to_state FROM transitions WHERE machine = 'subscription'")
    assert [step.to_state for step in steps] == ["active"]
    assert ATTEMPTS.labels("unverified")._value.get() - counted == 1
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["event_id"], line["code"]) == (row.event_id, code)
    assert await world.breaches() == [f"delivery 1 of event {row.event_id} was refused: {code}"]


async def test_a_row_with_what_payouts_signed_is_sent(world: World):
    """The rows of the tests here are refused for what is wrong with them, and for nothing else."""
    subscription, _ = await world.subscribe()
    await write(world, row_of(GENUINE), subscription_id=subscription)
    await world.pump()
    (request,) = world.receiver.seen
    signed = orjson.loads(GENUINE)
    assert orjson.loads(request.body) == {
        name: signed[name] for name in signed.keys() - {"keyid", "signature", "traceparent"}
    }
    assert await world.breaches() == []


async def test_a_genuine_event_goes_to_no_other_subscription(world: World):
    """A subscription gets no type that it did not ask for, nor events from before its time."""
    other, _ = await world.subscribe(types=["payout.failed"])
    held = row_of(held_event(world.clock))
    await write(world, held, subscription_id=other)
    late, _ = await world.subscribe(types=["payout.held"])
    await insert(
        world, INSERT_DELIVERY, subscription_id=late, event_id=held.event_id, lane="c", now=world.clock.now()
    )
    await world.pump()
    assert world.receiver.seen == []
    attempts = await world.rows("SELECT code FROM attempts")
    assert [attempt.code for attempt in attempts] == ["event_not_wanted"] * 2


@pytest.mark.parametrize("copied", [False, True], ids=["no secret", "another's secret"])
async def test_an_invented_subscription_gets_nothing(world: World, copied: bool):
    """A subscription without a secret that the service sealed for it is sent nothing, so that it does not outlive a stolen
    login.
    """
    await world.subscribe()
    invented = uuid4()
    await insert(
        world,
        INSERT_SUBSCRIPTION,
        subscription_id=invented,
        url=f"{world.receiver.url}/invented",
        types=[PAID],
        now=world.clock.now(),
    )
    if copied:
        await insert(world, COPY_SECRET, subscription_id=invented)
    await world.publish(paid_event(correlation_id="c"))
    await world.pump()
    assert [request.path for request in world.receiver.seen] == ["/hook"]
    (attempt,) = await world.rows(
        "SELECT a.outcome, a.code FROM attempts a JOIN deliveries d ON d.delivery_id = a.delivery_id "
        "WHERE d.subscription_id = :id",
        id=invented,
    )
    assert tuple(attempt) == (("open", None) if copied else ("unverified", "secret_missing"))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE deliveries SET event_id = 'x'",
        "UPDATE deliveries SET subscription_id = gen_random_uuid()",
        "UPDATE subscriptions SET url = 'https://x.example'",
        "UPDATE subscriptions SET event_types = '{}'",
        "UPDATE subscription_secrets SET sealed = ''",
        "DELETE FROM subscription_secrets",
        WITH_A_BODY,
        WITHOUT_A_MESSAGE,
    ],
)
async def test_what_a_delivery_is_bound_to_cannot_be_changed(world: World, statement: str):
    """Neither the event and subscription of a delivery, nor a subscription's address, types and secrets; and no event is
    stored without its message.
    """
    await world.subscribe()
    await world.publish(paid_event(correlation_id="c"))
    with pytest.raises(DBAPIError, match=r"permission denied|public_events_message"):
        await insert(world, statement)


async def test_an_event_whose_key_is_missing_waits_for_it(world: World):
    """A delivery that waits while its producer's key is not in ``trust.json`` is not sent, is reported, and is sent once the key is
    back.
    """
    await world.subscribe()
    event = paid_event(correlation_id="c")
    await world.publish(event)
    without = world.another_deliverer(trust=make_trust(["rewards"]))
    await without.run()
    await without.idle()
    assert world.receiver.seen == []
    assert await world.states() == ["pending"]
    reported = f"delivery 1 of event {event.event_id} was refused: event_key_not_trusted"
    assert await world.breaches() == [reported]
    world.clock.advance(timedelta(seconds=WAITS_S[0] * 1.3))
    await world.pump()
    assert [request.event_id for request in world.receiver.seen] == [event.event_id]
    assert await world.breaches() == []


async def test_an_event_of_an_unknown_key_is_never_sent(world: World):
    """After three days the delivery is dead and reported, and the lane continues."""
    subscription, _ = await world.subscribe()
    row = row_of(signed_by("rewards"))
    await write(world, row, subscription_id=subscription)
    behind = paid_event(correlation_id=row.lane)
    await world.publish(behind)
    end = world.clock.now() + GIVE_UP_AFTER + timedelta(days=2)
    while world.clock.now() < end:
        await world.pump()
        world.clock.advance(timedelta(hours=3))
    assert [request.event_id for request in world.receiver.seen] == [behind.event_id]
    assert await world.states() == ["dead", "delivered"]
    assert await world.breaches() == [
        f"delivery 1 of event {row.event_id} was refused: event_key_not_trusted"
    ]


async def test_an_event_without_a_message_is_refused(world: World):
    """An event from before the migration cannot be verified: its open delivery ends with a code that says so."""
    subscription, _ = await world.subscribe()
    owner = await asyncpg.connect(world.migration_url)
    await owner.execute("ALTER TABLE public_events DROP CONSTRAINT public_events_message")
    await owner.execute(
        "INSERT INTO public_events (event_id, source, type, subject, correlation_id, body, taken_at) "
        f"VALUES ('old', '/prizewire/payouts', '{PAID}', 'p', 'c', '{{}}', now())"
    )
    await owner.close()
    await insert(
        world,
        INSERT_DELIVERY,
        subscription_id=subscription,
        event_id="old",
        lane="c",
        now=world.clock.now(),
    )
    await world.pump()
    assert world.receiver.seen == []
    assert await world.breaches() == ["delivery 1 of event old was refused: event_without_message"]


@pytest.mark.parametrize("other", [{"message": b"{}"}, {"subject": "x"}, {"type": "x"}], ids=str)
async def test_an_event_whose_id_is_taken_waits_for_a_person(world: World, other: dict[str, Any]):
    """A row under the id of a later event does not suppress that event: it is parked, and delivered once the row is deleted."""
    subscription, _ = await world.subscribe()
    event = paid_event(correlation_id="c")
    await write(world, replace(row_of(event.value), **other), subscription_id=subscription)
    await world.publish(event, paid_event(correlation_id="d"))
    await world.pump()
    assert event.event_id not in [request.event_id for request in world.receiver.seen]
    rows = await world.rows("SELECT event_id, state, reason FROM stuck_events")
    assert [tuple(row) for row in rows] == [(event.event_id, "parked", "event_mismatch")]
    owner = await asyncpg.connect(world.migration_url)
    await owner.execute(DELETE_FALSE_ROW.format(event.event_id))
    await owner.close()
    stuck = StuckEvents(db=world.db, processor=world.processor, specs=[world.spec], clock=world.clock)
    assert (
        await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="ann")
    ).state == "replayed"
    await world.pump()
    assert event.event_id in [request.event_id for request in world.receiver.seen]
    assert await world.breaches() == []
