"""Every message ends applied, without effect, dead or parked; never lost, never applied twice."""

import asyncio
import logging
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from libs.chassis.tests.integration.conftest import Scripted
from prizewire_chassis.inbox import Refusal, Stopping, VersionRule
from prizewire_chassis.inbox import processor as processor_module
from prizewire_chassis.metrics import EVENTS
from prizewire_chassis.stuck_events import NotReplayable, PlaceTaken
from prizewire_chassis.testing import FakeRecord, event_bytes, make_key, records
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.events.payouts import (
    PayoutApproved,
    PayoutApprovedEvent,
    PayoutHeld,
    PayoutHeldEvent,
)
from prizewire_contracts.topics import PAYOUTS
from prizewire_devstack.testing import eventually

TOPIC = PAYOUTS.name


def held(outbox, payout: UUID, version: int):
    return outbox.event(
        PayoutHeldEvent,
        PayoutHeld(payout_id=payout, reason="limit_exceeded"),
        subject=str(payout),
        version=version,
        correlation_id="c-1",
    )


async def effects(db) -> list[str]:
    async with db.transaction() as tx:
        return [row.event_id for row in await tx.execute(text("SELECT event_id FROM effects ORDER BY n"))]


async def stuck_rows(db) -> list[tuple[str, str]]:
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT state, reason FROM stuck_events ORDER BY id"))
        return [(row.state, row.reason) for row in rows]


@pytest.mark.parametrize("rule", [VersionRule.STRICT, VersionRule.NONE])
async def test_a_repeated_event_has_one_effect(db, processor, make_spec, outbox, rule):
    """The same event in one batch and again in a later one is applied once, also where no version tells it."""
    event = held(outbox, uuid4(), 1)
    spec = make_spec(rule)
    await processor.process(spec, records(event, event, topic=TOPIC))
    await processor.process(spec, records(event, topic=TOPIC, start=2))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == []


async def test_another_body_under_a_used_id_is_dead(db, processor, make_spec, outbox, clock):
    """A second body under one id is kept as id_conflict, in the same batch as in a later one."""
    payout = uuid4()
    first = held(outbox, payout, 1)
    body = {"payout_id": str(payout), "reason": "other"}
    other = event_bytes(
        topic=TOPIC, kind="prizewire.payout.held.v1", source="/prizewire/payouts", subject=str(payout), data=body,
        key=make_key("payouts"), id=first.event_id, aggregateversion=1, correlationid="c-1",
        time=clock.now().isoformat(),
    )  # fmt: skip
    await processor.process(make_spec(), records(first, other, topic=TOPIC))
    await processor.process(make_spec(), records(other, topic=TOPIC, start=7))
    assert await effects(db) == [first.event_id]
    assert await stuck_rows(db) == [("dead", "id_conflict"), ("dead", "id_conflict")]


async def test_a_forged_event_is_dead_and_uses_up_nothing(db, processor, make_spec, outbox):
    """A badly signed event neither parks its subject nor takes the id or version of the honest one."""
    event = held(outbox, uuid4(), 1)
    forged = event.value.replace(b"limit_exceeded", b"limit_exceedeX")
    await processor.process(make_spec(), records(forged, event, topic=TOPIC))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == [("dead", "signature_invalid")]


async def test_a_refused_forgery_cannot_use_up_an_honest_id(db, processor, handler, make_spec, outbox):
    """Where only the handler can tell a forgery, the honest event under the same id is applied, even when both stand
    in one batch, the forgery first.
    """
    honest = held(outbox, uuid4(), 1)
    forgery = event_bytes(
        topic=TOPIC, kind="prizewire.payout.held.v1", source="/prizewire/payouts", subject="x", key=make_key("payouts"),
        data={"payout_id": str(uuid4()), "reason": "forged"}, id=honest.event_id, aggregateversion=1,
        correlationid="c-1",
    )  # fmt: skip
    handler.refuse_subjects = {"x"}
    await processor.process(make_spec(VersionRule.NONE), records(forgery, honest, topic=TOPIC))
    assert await effects(db) == [honest.event_id]
    assert await stuck_rows(db) == [("dead", "source_not_allowed")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\x00", "not_json"),
        (b"[]", "not_cloudevent"),
        (b'{"specversion":"1.0","type":"prizewire.payout.flown.v1"}', "unknown_type"),
        (b'{"specversion":"1.0","type":"prizewire.payout.held.v9"}', "unsupported_version"),
        (b'{"specversion":"1.0","type":"prizewire.payout.held.v1","data":{"x":1.5}}', "float_refused"),
        (b'{"specversion":"1.0","type":"prizewire.payout.held.v1"}', "schema_invalid"),
    ],
)
async def test_unreadable_messages_are_kept_whole(db, processor, make_spec, make_stuck, value, reason):
    """What cannot be decoded is dead with a stable reason and can be shown as it came."""
    spec = make_spec()
    await processor.process(spec, records(value, topic=TOPIC))
    assert await stuck_rows(db) == [("dead", reason)]
    shown = await make_stuck(spec).show((await make_stuck(spec).page(after=0, limit=1))[0]["id"])
    assert shown["message"] == value.decode(errors="backslashreplace")


async def test_a_gap_parks_and_is_released_when_it_fills(db, processor, make_spec, make_stuck, outbox):
    """Version 3 waits for version 2; once 2 came, 3 and what queued behind it are applied in order."""
    payout, spec = uuid4(), make_spec()
    one, two, three, four = (held(outbox, payout, version) for version in (1, 2, 3, 4))
    await processor.process(spec, records(one, three, four, topic=TOPIC))
    assert await stuck_rows(db) == [("parked", "version_gap"), ("parked", "version_gap")]
    await processor.process(spec, records(two, topic=TOPIC, start=3))
    assert await make_stuck(spec).release()
    assert await effects(db) == [event.event_id for event in (one, two, three, four)]
    assert {state for state, _ in await stuck_rows(db)} == {"replayed"}


async def test_a_parked_event_holds_back_its_subject_only(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """Followers of a refused event wait, even those of the same batch; other subjects go on; replay frees all."""
    bad, good, spec = uuid4(), uuid4(), make_spec()
    first, second, third = (held(outbox, bad, version) for version in (1, 2, 3))
    other = held(outbox, good, 1)
    handler.refuse[first.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(first, other, second, topic=TOPIC))
    await processor.process(spec, records(third, topic=TOPIC, start=3))
    assert await effects(db) == [other.event_id]
    rows = await stuck_rows(db)
    assert rows == [
        ("parked", "not_supported_yet"),
        ("parked", "subject_parked"),
        ("parked", "subject_parked"),
    ]
    stuck = make_stuck(spec)
    ids = [row["id"] for row in await stuck.page(after=0, limit=10)]
    with pytest.raises(NotReplayable, match="not_head"):
        await stuck.replay(ids[1], actor="op")
    assert (await stuck.replay(ids[0], actor="op")).reason == "not_supported_yet"
    handler.refuse.clear()
    answer = await stuck.replay(ids[0], actor="op")
    assert (answer.state, answer.released) == ("replayed", 2)
    assert await effects(db) == [event.event_id for event in (other, first, second, third)]


@pytest.mark.parametrize("rule", [VersionRule.STRICT, VersionRule.NONE])
async def test_a_dead_event_replays_once(db, processor, handler, make_spec, make_stuck, outbox, rule):
    """A refused event can be sent again when the reason is gone; not once it was applied by another delivery."""
    event, spec = held(outbox, uuid4(), 1), make_spec(rule)
    handler.refuse[event.event_id] = Refusal(RefusalCode.COMPETITION_UNKNOWN, "not yet")
    await processor.process(spec, records(event, topic=TOPIC))
    handler.refuse.clear()
    await processor.process(spec, records(event, topic=TOPIC, start=1))
    stuck = make_stuck(spec)
    answer = await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    assert answer.state == "replayed"
    assert await effects(db) == [event.event_id]


async def test_a_poisonous_event_is_isolated(db, processor, handler, make_spec, outbox):
    """An event on which the handler keeps raising is parked; its neighbours in the batch are applied."""
    poison, fine = held(outbox, uuid4(), 1), held(outbox, uuid4(), 1)
    handler.raising[poison.event_id] = ValueError("cannot be")
    await processor.process(make_spec(), records(poison, fine, topic=TOPIC))
    assert await effects(db) == [fine.event_id]
    assert await stuck_rows(db) == [("parked", "handler_error")]


async def test_an_unexpected_failure_has_three_tries(db, processor, handler, make_spec, outbox):
    """What fails once or twice is not parked for it."""
    event, raised = held(outbox, uuid4(), 1), []

    async def unsteady(tx, batch):
        if len(raised) < 2:
            raised.append(1)
            raise KeyError("for now")
        return await handler(tx, batch)

    await processor.process(replace(make_spec(), handler=unsteady), records(event, topic=TOPIC))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == []


async def test_a_transient_failure_is_retried_not_given_up(db, processor, handler, make_spec, outbox):
    """While the database is away the batch waits, and nothing of it is parked."""
    event = held(outbox, uuid4(), 1)
    handler.raising[event.event_id] = asyncpg.CannotConnectNowError("starting up")
    task = asyncio.create_task(processor.process(make_spec(), records(event, topic=TOPIC)))
    await eventually(lambda: handler.calls >= 5)
    handler.raising.clear()
    await task
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == []


async def test_stopping_gives_the_batch_back(db, processor, handler, make_spec, outbox):
    """A retry that is interrupted by the shutdown raises, so that Kafka delivers the batch again."""
    event = held(outbox, uuid4(), 1)
    handler.raising[event.event_id] = asyncpg.CannotConnectNowError("starting up")
    task = asyncio.create_task(processor.process(make_spec(), records(event, topic=TOPIC)))
    await eventually(lambda: handler.calls >= 2)
    processor.stop()
    with pytest.raises(Stopping):
        await task
    assert await effects(db) == []


async def test_the_highest_version_wins_where_events_carry_full_state(db, processor, make_spec, outbox):
    """Under HIGHEST a newer version is applied over a gap, an older one is left out."""
    payout, spec = uuid4(), make_spec(VersionRule.HIGHEST)
    one, three = held(outbox, payout, 1), held(outbox, payout, 3)
    await processor.process(spec, records(three, one, topic=TOPIC))
    assert await effects(db) == [three.event_id]


async def test_offsets_are_stored_with_the_batch(db, processor, make_spec, outbox):
    """The next offset of each partition is in the database, and never goes back."""
    spec = make_spec()
    batch = [
        FakeRecord(TOPIC, 1, 41, held(outbox, uuid4(), 1).value),
        FakeRecord(TOPIC, 2, 7, held(outbox, uuid4(), 1).value),
    ]
    await processor.process(spec, batch)
    await processor.process(spec, [FakeRecord(TOPIC, 1, 12, held(outbox, uuid4(), 1).value)])
    async with db.transaction() as tx:
        rows = await tx.execute(
            text("SELECT partition, next_offset FROM consumer_offsets ORDER BY partition")
        )
        assert [tuple(row) for row in rows] == [(1, 42), (2, 8)]


async def test_hostile_text_is_stored(db, processor, make_spec):
    """A NUL in a field that is shown to people does not stop the partition."""
    value = b'{"specversion":"1.0","type":"prizewire.payout.held.v1","subject":"a\\u0000b","data":{}}'
    await processor.process(make_spec(), records(value, topic=TOPIC))
    assert await stuck_rows(db) == [("dead", "schema_invalid")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time", "0001-01-01T00:00:00+14:00"),
        ("time", "9999-12-31T23:59:59-14:00"),
        ("id", "a\u0000b"),
        ("subject", "a\u0000b"),
    ],
)
async def test_a_malformed_attribute_is_dead_and_stops_nobody(
    db, processor, make_spec, outbox, clock, name, value
):
    """A moment outside the calendar, or a NUL where a name should be, is dead at once; the batch goes on."""
    payout, fine = uuid4(), held(outbox, uuid4(), 1)
    attributes = {
        "time": clock.now().isoformat(),
        "id": "e-1",
        "subject": str(payout),
        "aggregateversion": 1,
        "correlationid": "c-1",
    }
    forged = event_bytes(
        topic=TOPIC, kind="prizewire.payout.held.v1", source="/prizewire/payouts",
        data={"payout_id": str(payout), "reason": "x"}, key=make_key("payouts"), **{**attributes, name: value},
    )  # fmt: skip
    await asyncio.wait_for(processor.process(make_spec(), records(forged, fine, topic=TOPIC)), timeout=20)
    assert await effects(db) == [fine.event_id]
    assert await stuck_rows(db) == [("dead", "schema_invalid")]


async def test_a_message_that_breaks_the_decoder_is_dead(db, processor, make_spec, outbox, monkeypatch):
    """Whatever the decoder raises over one message, the partition goes on, and nothing is parked by it."""
    fine = held(outbox, uuid4(), 1)

    def decode(*, value, **others):
        if value == b"broken":
            raise RecursionError
        return inbox_decode(value=value, **others)

    inbox_decode = processor_module.decode
    monkeypatch.setattr(processor_module, "decode", decode)
    await processor.process(make_spec(), records(b"broken", fine, topic=TOPIC))
    assert await effects(db) == [fine.event_id]
    assert await stuck_rows(db) == [("dead", "handler_error")]


async def test_a_dead_event_that_is_delivered_again_and_must_wait_is_parked(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """Kafka delivers a dead event again, and now it must wait: it is parked at its old place, and not lost."""
    event, spec = held(outbox, uuid4(), 1), make_spec()
    handler.refuse[event.event_id] = Refusal(RefusalCode.COMPETITION_UNKNOWN, "not yet")
    await processor.process(spec, records(event, topic=TOPIC))
    handler.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(event, topic=TOPIC))
    assert await stuck_rows(db) == [("parked", "not_supported_yet")]
    handler.refuse.clear()
    stuck = make_stuck(spec)
    answer = await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    assert answer.state == "replayed"
    assert await effects(db) == [event.event_id]


async def test_another_message_at_the_place_of_a_stuck_one_is_not_lost(
    db, processor, handler, make_spec, outbox
):
    """A topic that was made anew counts from 0 again: a new message takes a dead one's place, and stops at a
    parked one's until a person has looked.
    """
    first, second, third = (held(outbox, uuid4(), 1) for _ in range(3))
    spec = make_spec()
    handler.refuse[first.event_id] = Refusal(RefusalCode.COMPETITION_UNKNOWN, "not yet")
    for event in (second, third):
        handler.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(first, topic=TOPIC))
    await processor.process(spec, records(second, topic=TOPIC))
    assert await stuck_rows(db) == [("parked", "not_supported_yet")]
    with pytest.raises(PlaceTaken):
        await processor.process(spec, records(third, topic=TOPIC))
    async with db.transaction() as tx:
        known = await tx.execute(text("SELECT event_id FROM inbox ORDER BY event_id"))
        assert [row.event_id for row in known] == [second.event_id]


async def test_a_replay_that_breaks_keeps_a_dead_event_dead(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """A dead event over which the handler raises when it is sent again parks nobody."""
    payout, spec = uuid4(), make_spec(VersionRule.NONE)
    event, honest = held(outbox, payout, 1), held(outbox, payout, 2)
    handler.refuse[event.event_id] = Refusal(RefusalCode.SIGNATURE_INVALID, "forged")
    await processor.process(spec, records(event, topic=TOPIC))
    handler.refuse.clear()
    handler.raising[event.event_id] = ValueError("cannot be")
    stuck = make_stuck(spec)
    answer = await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    assert (answer.state, answer.reason) == ("dead", "handler_error")
    await processor.process(spec, records(honest, topic=TOPIC, start=1))
    assert await effects(db) == [honest.event_id]


async def test_a_replay_that_breaks_does_not_undo_another_that_went_through(
    db, processor, handler, make_spec, make_stuck, outbox, monkeypatch
):
    """Two operators replay one event; the one whose attempt breaks does not park again what the other applied."""
    event, spec = held(outbox, uuid4(), 1), make_spec()
    handler.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(event, topic=TOPIC))
    handler.refuse.clear()
    one, other = make_stuck(spec), make_stuck(spec)
    stuck_id = (await one.page(after=0, limit=1))[0]["id"]

    async def breaks(tx, stuck_id: int, *, actor: str):
        await other.replay(stuck_id, actor=actor)
        raise ValueError("cannot be")

    monkeypatch.setattr(one, "_replay_one", breaks)
    await one.replay(stuck_id, actor="op")
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == [("replayed", "not_supported_yet")]


async def test_what_was_written_does_not_stand_in_errors(db):
    """A failing statement's error, which is logged and shown to people, holds none of its parameters."""
    with pytest.raises(Exception, match="syntax error") as raised:
        async with db.transaction() as tx:
            await tx.execute(text("SELEKT :detail"), {"detail": "sealed-detail"})
    assert "sealed-detail" not in repr(raised.value)
    assert "sealed-detail" not in str(raised.value)


async def test_logs_tell_what_became_of_each_event(db, processor, make_spec, outbox):
    """A line for each event, applied or stuck, with its correlation id."""
    event = held(outbox, uuid4(), 1)
    logging.getLogger("prizewire_chassis.inbox.taken").setLevel(logging.INFO)
    with capture_logs() as lines:
        await processor.process(make_spec(), records(event, b"{", topic=TOPIC))
    told = [(line["event"], line["log_level"], line["correlation_id"]) for line in lines]
    assert told == [("event applied", "info", "c-1"), ("event stuck", "warning", None)]
    assert lines[1]["reason"] == "not_json"


async def test_consumers_of_one_topic_do_not_hold_each_other_back(db, processor, handler, make_spec, outbox):
    """What is parked, dead or applied at one consumer says nothing about another one."""
    payout, spec = uuid4(), make_spec()
    other = replace(spec, name="test.other", handler=Scripted())
    first, second = held(outbox, payout, 1), held(outbox, payout, 2)
    handler.refuse[first.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(first, second, topic=TOPIC))
    await processor.process(other, records(first, second, topic=TOPIC))
    assert await effects(db) == [first.event_id, second.event_id]
    assert await stuck_rows(db) == [("parked", "not_supported_yet"), ("parked", "subject_parked")]


async def test_each_consumer_remembers_for_itself(db, processor, make_spec, outbox):
    """An event that one consumer took in is new to another one, once."""
    event, spec = held(outbox, uuid4(), 1), make_spec(VersionRule.NONE)
    other = replace(spec, name="test.other")
    for consumer in (spec, other, spec, other):
        await processor.process(consumer, records(event, topic=TOPIC))
    assert await effects(db) == [event.event_id] * 2


async def test_only_a_gap_is_passed_by_what_fills_it(db, processor, handler, make_spec, outbox):
    """Behind an event that was parked for another reason even the next version waits."""
    payout = uuid4()
    spec = replace(
        make_spec(),
        version_rule=lambda kind: VersionRule.STRICT if kind.endswith("held.v1") else VersionRule.NONE,
    )
    unversioned = outbox.event(
        PayoutApprovedEvent, PayoutApproved(payout_id=payout, policy_version=1, approvers=[]), subject=str(payout),
        version=9, correlation_id="c-1",
    )  # fmt: skip
    follower = held(outbox, payout, 1)
    handler.refuse[unversioned.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(unversioned, topic=TOPIC))
    await processor.process(spec, records(follower, topic=TOPIC, start=1))
    assert await effects(db) == []
    assert await stuck_rows(db) == [("parked", "not_supported_yet"), ("parked", "subject_parked")]


async def test_an_older_version_under_another_id_has_no_effect(db, processor, make_spec, outbox):
    """A version that was applied counts once, whatever other type of the subject carries it."""
    payout, spec = uuid4(), make_spec()
    event = held(outbox, payout, 1)
    same = outbox.event(
        PayoutApprovedEvent, PayoutApproved(payout_id=payout, policy_version=1, approvers=[]), subject=str(payout),
        version=1, correlation_id="c-1",
    )  # fmt: skip
    await processor.process(spec, records(event, same, topic=TOPIC))
    await processor.process(spec, records(same, topic=TOPIC, start=2))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == []


@pytest.mark.parametrize(("rule", "park"), [(VersionRule.NONE, True), (VersionRule.STRICT, False)])
async def test_nothing_of_a_batch_is_applied_past_a_refusal(
    db, processor, handler, make_spec, outbox, rule, park
):
    """A handler that applied a follower of what it refused does not get its way."""
    payout = uuid4()
    first, second = held(outbox, payout, 1), held(outbox, payout, 2)
    handler.refuse[first.event_id] = Refusal(RefusalCode.COMPETITION_UNKNOWN, "not yet", park=park)
    await processor.process(make_spec(rule), records(first, second, topic=TOPIC))
    assert await effects(db) == []
    assert len(await stuck_rows(db)) == 2


async def test_an_id_conflict_does_not_forget_the_first(db, processor, handler, make_spec, outbox, clock):
    """A second body under a used id leaves the inbox as it was: the first stays a duplicate."""
    spec, event = make_spec(VersionRule.NONE), held(outbox, uuid4(), 1)
    other = event_bytes(
        topic=TOPIC, kind="prizewire.payout.held.v1", source="/prizewire/payouts", subject="x", key=make_key("payouts"),
        data={"payout_id": str(uuid4()), "reason": "other"}, id=event.event_id, aggregateversion=1,
        correlationid="c-1",
    )  # fmt: skip
    handler.refuse_subjects = {"x"}
    for offset, value in enumerate((event, other, event, other)):
        await processor.process(spec, records(value, topic=TOPIC, start=offset))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == [("dead", "id_conflict")] * 2


async def test_what_has_no_effect_moves_no_version(db, processor, handler, make_spec, outbox):
    """A refused event does not use up its version: the honest one with the same version is applied."""
    payout, spec = uuid4(), make_spec(VersionRule.HIGHEST)
    refused, later = held(outbox, payout, 5), held(outbox, payout, 4)
    handler.refuse[refused.event_id] = Refusal(RefusalCode.SOURCE_NOT_ALLOWED, "forged")
    await processor.process(spec, records(refused, topic=TOPIC))
    await processor.process(spec, records(later, topic=TOPIC, start=1))
    assert await effects(db) == [later.event_id]


async def test_a_type_that_is_not_wanted_only_moves_the_version(db, processor, handler, make_spec, outbox):
    """Types that a consumer does not name reach no handler, and leave no gap behind."""
    payout = uuid4()
    spec = replace(make_spec(), types=frozenset({"prizewire.payout.held.v1"}))
    unwanted = outbox.event(
        PayoutApprovedEvent, PayoutApproved(payout_id=payout, policy_version=1, approvers=[]), subject=str(payout),
        version=1, correlation_id="c-1",
    )  # fmt: skip
    wanted, fine = held(outbox, payout, 2), held(outbox, uuid4(), 1)
    handler.refuse[fine.event_id] = Refusal(RefusalCode.COMPETITION_UNKNOWN, "not yet")
    await processor.process(spec, records(unwanted, wanted, fine, topic=TOPIC))
    assert await effects(db) == [wanted.event_id]
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT event_id, reason FROM stuck_events"))
        assert [tuple(row) for row in rows] == [(fine.event_id, "competition_unknown")]


class Gate(Scripted):
    """A handler that waits with the events of ``hold`` until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.hold: set[str] = set()
        self.arrivals = 0
        self.arrived, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, tx, batch):
        if self.hold.intersection(item.event.id for item in batch):
            self.arrivals += 1
            self.arrived.set()
            await self.go.wait()
        return await super().__call__(tx, batch)


async def waits_or_got_through(db, task: "asyncio.Task[object]", gate: Gate) -> bool:
    """Whether a statement waits for a lock, or the second one did not have to."""
    async with db.transaction() as tx:
        found = await tx.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        return bool(found.scalar_one()) or task.done() or gate.arrivals > 1


async def test_an_older_state_never_overwrites_a_newer_one(db, processor, make_spec, outbox):
    """Two consumers take in the first two events of one subject at the same time, as after a rebalance: the one that
    was overtaken has no effect, where each event carries the full state.
    """
    payout, gate = uuid4(), Gate()
    spec = replace(make_spec(VersionRule.HIGHEST), handler=gate)
    old, new = held(outbox, payout, 1), held(outbox, payout, 2)
    gate.hold = {old.event_id}
    slow = asyncio.create_task(processor.process(spec, records(old, topic=TOPIC)))
    await gate.arrived.wait()
    await processor.process(spec, records(new, topic=TOPIC, start=1))
    gate.go.set()
    await slow
    assert await effects(db) == [new.event_id]
    assert await stuck_rows(db) == []


async def test_versions_of_one_subject_queue_behind_each_other(db, processor, make_spec, outbox):
    """A consumer that takes in the next version waits for the one before it, instead of seeing a gap."""
    payout, gate = uuid4(), Gate()
    spec = replace(make_spec(), handler=gate)
    one, two, three = (held(outbox, payout, version) for version in (1, 2, 3))
    await processor.process(spec, records(one, topic=TOPIC))
    gate.hold = {two.event_id}
    slow = asyncio.create_task(processor.process(spec, records(two, topic=TOPIC, start=1)))
    await gate.arrived.wait()
    follower = asyncio.create_task(processor.process(spec, records(three, topic=TOPIC, start=2)))
    await eventually(lambda: waits_or_got_through(db, follower, gate), deadline_s=10)
    gate.go.set()
    await asyncio.gather(slow, follower)
    assert await effects(db) == [event.event_id for event in (one, two, three)]
    assert await stuck_rows(db) == []


@pytest.mark.parametrize("rule", [VersionRule.STRICT, VersionRule.NONE])
async def test_two_operators_replay_one_event_once(
    db, processor, handler, make_spec, make_stuck, outbox, rule
):
    """Of two replays at the same time one applies the event, the other hears that it was applied."""
    gate, event = Gate(), held(outbox, uuid4(), 1)
    spec = replace(make_spec(rule), handler=gate)
    gate.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(event, topic=TOPIC))
    gate.refuse.clear()
    gate.hold = {event.event_id}
    stuck = make_stuck(spec)
    stuck_id = (await stuck.page(after=0, limit=1))[0]["id"]
    first = asyncio.create_task(stuck.replay(stuck_id, actor="ana"))
    await gate.arrived.wait()
    second = asyncio.create_task(stuck.replay(stuck_id, actor="ben"))
    await eventually(lambda: waits_or_got_through(db, second, gate), deadline_s=10)
    gate.go.set()
    assert (await first).state == "replayed"
    with pytest.raises(NotReplayable, match="already_replayed"):
        await second
    assert await effects(db) == [event.event_id]
    assert (await stuck.show(stuck_id))["replayed_by"] == "ana"


async def test_a_message_at_a_parked_ones_place_does_not_overwrite_it(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """Parked stays parked as it was, even when another message claims its place again and again."""
    parked, other, spec = held(outbox, uuid4(), 1), held(outbox, uuid4(), 1), make_spec()
    handler.refuse[parked.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(parked, topic=TOPIC))
    with pytest.raises(PlaceTaken):
        await processor.process(spec, records(b"{", topic=TOPIC))
    stuck = make_stuck(spec)
    assert [row["event_id"] for row in await stuck.page(after=0, limit=9)] == [parked.event_id]
    await processor.process(spec, records(other, topic=TOPIC, start=1))
    assert await effects(db) == [other.event_id]


async def test_replay_goes_on_in_order_and_stops_at_the_first_that_stays(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """Followers are released oldest first; one that is refused keeps the rest waiting."""
    payout, spec = uuid4(), make_spec(VersionRule.NONE)
    one, two, three = (held(outbox, payout, version) for version in (1, 2, 3))
    later = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    handler.refuse = {one.event_id: later, two.event_id: later}
    await processor.process(spec, records(one, two, three, topic=TOPIC))
    del handler.refuse[one.event_id]
    stuck = make_stuck(spec)
    head = (await stuck.page(after=0, limit=1))[0]["id"]
    answer = await stuck.replay(head, actor="op")
    assert (answer.state, answer.released) == ("replayed", 0)
    assert await effects(db) == [one.event_id]
    assert await stuck_rows(db) == [
        ("replayed", "not_supported_yet"),
        ("parked", "not_supported_yet"),
        ("parked", "subject_parked"),
    ]
    with pytest.raises(NotReplayable, match="already_replayed"):
        await stuck.replay(head, actor="op")
    assert [row["event_id"] for row in await stuck.page(after=0, limit=9)] == [two.event_id, three.event_id]
    assert not await stuck.release()


async def test_release_leaves_an_open_gap_alone(db, processor, handler, make_spec, make_stuck, outbox):
    """The job sends again what a filled gap let go, and does not touch what has to wait still."""
    payout, spec = uuid4(), make_spec()
    await processor.process(spec, records(held(outbox, payout, 3), topic=TOPIC))
    refused = EVENTS.labels(spec.name, "replay_refused")
    before = refused._value.get()
    assert not await make_stuck(spec).release()
    assert refused._value.get() == before
    assert await stuck_rows(db) == [("parked", "version_gap")]


async def test_a_replay_while_the_database_fails_changes_nothing(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """A transient failure of a replay is the caller's to try again; the reason that stands there stays."""
    event, spec = held(outbox, uuid4(), 1), make_spec()
    handler.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(event, topic=TOPIC))
    handler.refuse.clear()
    handler.raising[event.event_id] = asyncpg.CannotConnectNowError("starting up")
    stuck = make_stuck(spec)
    stuck_id = (await stuck.page(after=0, limit=1))[0]["id"]
    with pytest.raises(asyncpg.CannotConnectNowError):
        await stuck.replay(stuck_id, actor="op")
    assert await stuck_rows(db) == [("parked", "not_supported_yet")]


async def test_a_replay_answers_the_newest_reason(db, processor, handler, make_spec, make_stuck, outbox):
    """When an event stays stuck for another reason than before, the new one is what people see."""
    event, spec = held(outbox, uuid4(), 1), make_spec()
    handler.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(event, topic=TOPIC))
    handler.refuse[event.event_id] = Refusal(RefusalCode.CAMPAIGN_UNKNOWN, "which?", park=True)
    stuck = make_stuck(spec)
    await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    assert await stuck_rows(db) == [("parked", "campaign_unknown")]


async def test_a_forged_message_stays_dead_when_it_is_sent_again(
    db, processor, make_spec, make_stuck, outbox
):
    """A replay goes the whole way, the signature's check first: an operator cannot wave a forgery through."""
    spec = make_spec()
    forged = held(outbox, uuid4(), 1).value.replace(b"limit_exceeded", b"limit_exceedeX")
    await processor.process(spec, records(forged, topic=TOPIC))
    stuck = make_stuck(spec)
    answer = await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    assert (answer.state, answer.reason) == ("dead", "signature_invalid")
    assert await effects(db) == []


async def test_a_consumer_that_is_gone_is_said(db, processor, make_spec, make_stuck):
    """A stuck event of a consumer that no longer exists is kept, and cannot be sent again."""
    spec = make_spec()
    await processor.process(spec, records(b"{", topic=TOPIC))
    stuck = make_stuck(replace(spec, name="test.renamed"))
    with pytest.raises(NotReplayable, match="consumer_unknown"):
        await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")


async def test_offsets_do_not_move_without_their_batch(db, processor, handler, make_spec, outbox):
    """A batch that was not applied leaves the stored offsets where they were."""
    event = held(outbox, uuid4(), 1)
    handler.raising[event.event_id] = asyncpg.CannotConnectNowError("starting up")
    task = asyncio.create_task(processor.process(make_spec(), records(event, topic=TOPIC)))
    await eventually(lambda: handler.calls >= 2, deadline_s=10)
    processor.stop()
    with pytest.raises(Stopping):
        await task
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM consumer_offsets"))).scalar_one() == 0
        assert (await tx.execute(text("SELECT count(*) FROM inbox"))).scalar_one() == 0


async def test_followers_of_a_head_that_died_are_released(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """When a replay ends with the head dead, nothing holds its followers back any longer: the job sends them."""
    payout, spec = uuid4(), make_spec(VersionRule.NONE)
    head, follower = held(outbox, payout, 1), held(outbox, payout, 2)
    handler.refuse[head.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(head, follower, topic=TOPIC))
    handler.refuse[head.event_id] = Refusal(RefusalCode.SOURCE_NOT_ALLOWED, "never")
    stuck = make_stuck(spec)
    assert (await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")).state == "dead"
    assert await stuck.release()
    assert await effects(db) == [follower.event_id]
    assert await stuck_rows(db) == [("dead", "source_not_allowed"), ("replayed", "subject_parked")]
