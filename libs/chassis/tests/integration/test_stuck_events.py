"""Dead and parked events are kept until they are sent again, one by one or by the releasing job."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from libs.chassis.tests.integration.inbox_rig import TOPIC, effects, held, stuck_rows
from prizewire_chassis.checks.stuck_checks import PARKED_GRACE, parked, stuck_checks
from prizewire_chassis.inbox import Refusal, VersionRule
from prizewire_chassis.inbox.stuck import OffsetOccupied
from prizewire_chassis.metrics import EVENTS
from prizewire_chassis.stuck_events import NotReplayable
from prizewire_chassis.testing import records
from prizewire_contracts.codes import RefusalCode


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
    """A topic that was created again counts from 0: a new message replaces a dead one, and stops at a
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
    with pytest.raises(OffsetOccupied):
        await processor.process(spec, records(third, topic=TOPIC))
    async with db.transaction() as tx:
        known = await tx.execute(text("SELECT event_id FROM inbox ORDER BY event_id"))
        assert [row.event_id for row in known] == [second.event_id]


async def test_a_message_at_a_parked_ones_place_does_not_overwrite_it(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """Parked stays parked as it was, even when another message claims its place again and again."""
    parked, other, spec = held(outbox, uuid4(), 1), held(outbox, uuid4(), 1), make_spec()
    handler.refuse[parked.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(parked, topic=TOPIC))
    with pytest.raises(OffsetOccupied):
        await processor.process(spec, records(b"{", topic=TOPIC))
    stuck = make_stuck(spec)
    assert [row["event_id"] for row in await stuck.page(after=0, limit=9)] == [parked.event_id]
    await processor.process(spec, records(other, topic=TOPIC, start=1))
    assert await effects(db) == [other.event_id]


async def test_a_replay_that_breaks_keeps_a_dead_event_dead(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """A dead event over which the handler raises when it is sent again parks nobody."""
    payout, spec = uuid4(), make_spec(VersionRule.NONE)
    event, authentic = held(outbox, payout, 1), held(outbox, payout, 2)
    handler.refuse[event.event_id] = Refusal(RefusalCode.SIGNATURE_INVALID, "forged")
    await processor.process(spec, records(event, topic=TOPIC))
    handler.refuse.clear()
    handler.raising[event.event_id] = ValueError("cannot be")
    stuck = make_stuck(spec)
    answer = await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    assert (answer.state, answer.reason) == ("dead", "handler_error")
    await processor.process(spec, records(authentic, topic=TOPIC, start=1))
    assert await effects(db) == [authentic.event_id]


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
    handler.refuse[event.event_id] = Refusal(RefusalCode.ASSET_UNKNOWN, "which?", park=True)
    stuck = make_stuck(spec)
    await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    assert await stuck_rows(db) == [("parked", "asset_unknown")]


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


async def test_an_ended_consumer_is_reported(db, processor, make_spec, make_stuck):
    """A stuck event of a consumer that no longer exists is kept, and cannot be sent again."""
    spec = make_spec()
    await processor.process(spec, records(b"{", topic=TOPIC))
    stuck = make_stuck(replace(spec, name="test.renamed"))
    with pytest.raises(NotReplayable, match="consumer_unknown"):
        await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")


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


async def test_a_parked_event_is_a_breach_until_it_is_applied(
    db, processor, handler, make_spec, make_stuck, outbox
):
    """Whatever came after it: the head is named with what waits behind it, until a replay goes through."""
    payout, spec = uuid4(), make_spec(VersionRule.NONE)
    head, follower = held(outbox, payout, 1), held(outbox, payout, 2)
    handler.refuse[head.event_id] = Refusal(RefusalCode.EVENT_MISMATCH, "another amount", park=True)
    others = [held(outbox, uuid4(), 1) for _ in range(60)]
    await processor.process(spec, records(head, follower, *others, topic=TOPIC))
    stuck = make_stuck(spec)
    async with db.transaction() as tx:
        [breach] = await parked(stuck, tx)
        assert [await check.count(tx) for check in stuck_checks(stuck)] == [2, 0]
    assert f"of {payout}, is parked since" in breach
    assert breach.endswith("event_mismatch: another amount; 1 more wait behind it")
    handler.refuse.clear()
    await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    async with db.transaction() as tx:
        assert await parked(stuck, tx) == []


async def test_an_event_parked_for_a_transient_reason_is_a_breach_once_it_is_old(
    db, processor, handler, make_spec, make_stuck, outbox, clock
):
    """A gap in versions, or what the consumer names, may fill by itself for a while."""
    spec = replace(make_spec(), passing=frozenset({RefusalCode.RESULT_MISSING}))
    early = held(outbox, uuid4(), 1)
    handler.refuse[early.event_id] = Refusal(RefusalCode.RESULT_MISSING, "not here", park=True)
    await processor.process(spec, records(early, held(outbox, uuid4(), 3), topic=TOPIC))
    stuck = make_stuck(spec)
    async with db.transaction() as tx:
        assert await parked(stuck, tx) == []
    clock.advance(PARKED_GRACE)
    async with db.transaction() as tx:
        assert len(await parked(stuck, tx)) == 2


async def test_the_job_shows_how_many_events_are_stuck_and_since_when(
    db, processor, handler, make_spec, make_stuck, outbox, clock
):
    """By state, with the age of the oldest and the number of subjects that wait; all are zero once none is stuck."""

    def shown(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"prizewire_{name}", labels)

    spec, waiting, other = make_spec(), uuid4(), uuid4()
    events = [held(outbox, waiting, 1), held(outbox, waiting, 2), held(outbox, other, 1)]
    for event in (events[0], events[2]):
        handler.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(events[0], topic=TOPIC))
    clock.advance(timedelta(seconds=30))
    await processor.process(spec, records(*events[1:], b"{", topic=TOPIC, start=1))
    clock.advance(timedelta(seconds=15))
    stuck = make_stuck(spec)
    await stuck.release()
    assert shown("stuck_events", state="parked") == 3
    assert shown("stuck_events", state="dead") == 1
    assert shown("stuck_oldest_seconds", state="parked") == 45
    assert shown("stuck_oldest_seconds", state="dead") == 15
    assert shown("parked_subjects") == 2
    handler.refuse.clear()
    for row in await stuck.page(after=0, limit=10, state="parked"):
        if (row["subject"] == str(waiting) and row["version"] == 1) or row["subject"] == str(other):
            await stuck.replay(row["id"], actor="op")
    await stuck.release()
    assert shown("stuck_events", state="parked") == 0
    assert shown("stuck_oldest_seconds", state="parked") == 0
    assert shown("parked_subjects") == 0
