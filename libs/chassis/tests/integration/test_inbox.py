"""Every message ends applied, without effect, dead or parked; never lost, never applied twice."""

import asyncio
import logging
from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from libs.chassis.tests.integration.conftest import Scripted
from libs.chassis.tests.integration.inbox_rig import TOPIC, effects, held, stuck_rows
from prizewire_chassis.db.database import sqlstate
from prizewire_chassis.inbox import Refusal, StoredOffset, VersionRule
from prizewire_chassis.inbox import processor as processor_module
from prizewire_chassis.inbox.statements import INBOX_FORGET
from prizewire_chassis.testing import FakeRecord, event_bytes, make_key, records
from prizewire_contracts.codes import RefusalCode


@pytest.mark.parametrize("rule", [VersionRule.STRICT, VersionRule.NONE])
async def test_a_repeated_event_has_one_effect(db, processor, make_spec, outbox, rule):
    """The same event in one batch and again in a later one is applied once, also where versions are ignored."""
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


async def test_a_forged_event_is_dead_and_uses_up_nothing(db, processor, make_spec, outbox):
    """A badly signed event neither parks its subject nor takes the id or version of the authentic one."""
    event = held(outbox, uuid4(), 1)
    forged = event.value.replace(b"limit_exceeded", b"limit_exceedeX")
    await processor.process(make_spec(), records(forged, event, topic=TOPIC))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == [("dead", "signature_invalid")]


async def test_a_refused_forgery_cannot_block_an_authentic_id(db, processor, handler, make_spec, outbox):
    """Where only the handler can detect a forgery, the authentic event under the same id is applied, even when both stand
    in one batch, the forgery first.
    """
    authentic = held(outbox, uuid4(), 1)
    forgery = event_bytes(
        topic=TOPIC, kind="prizewire.payout.held.v1", source="/prizewire/payouts", subject="x", key=make_key("payouts"),
        data={"payout_id": str(uuid4()), "reason": "forged"}, id=authentic.event_id, aggregateversion=1,
        correlationid="c-1",
    )  # fmt: skip
    handler.refuse_subjects = {"x"}
    await processor.process(make_spec(VersionRule.NONE), records(forgery, authentic, topic=TOPIC))
    assert await effects(db) == [authentic.event_id]
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


async def test_offsets_are_stored_with_the_batch(db, processor, make_spec, outbox):
    """The next offset of each partition is in the database, with the hash of the message before it, also where that
    partition begins again.
    """
    spec = make_spec()
    batch = [
        FakeRecord(TOPIC, 1, 41, held(outbox, uuid4(), 1).value),
        FakeRecord(TOPIC, 2, 7, held(outbox, uuid4(), 1).value),
    ]
    await processor.process(spec, batch)
    reached = {
        record.partition: StoredOffset(record.offset + 1, sha256(record.value).digest()) for record in batch
    }
    assert await processor.stored_offsets(spec, {0, 1, 2}) == reached
    await processor.reset_offset(spec, partition=1, offset=3)
    reached[1] = StoredOffset(3, None)
    assert await processor.stored_offsets(spec, {1, 2}) == reached
    stuck = FakeRecord(TOPIC, 1, 12, b"no event" * 20_000)
    await processor.process(spec, [FakeRecord(TOPIC, 1, 11, held(outbox, uuid4(), 1).value), stuck])
    reached[1] = StoredOffset(13, sha256(stuck.value).digest())
    assert await processor.stored_offsets(spec, {1, 2}) == reached


async def test_hostile_text_is_stored(db, processor, make_spec):
    """A NUL in a field that is shown to people does not stop the partition."""
    value = b'{"specversion":"1.0","type":"prizewire.payout.held.v1","subject":"a\\u0000b","data":{}}'
    await processor.process(make_spec(), records(value, topic=TOPIC))
    assert await stuck_rows(db) == [("dead", "schema_invalid")]


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("time", "0001-01-01T00:00:00+14:00", "dead"),
        ("time", "9999-12-31T23:59:59-14:00", "dead"),
        ("id", "a\u0000b", "parked"),
        ("subject", "a\u0000b", "dead"),
    ],
)
async def test_a_malformed_attribute_is_stored_and_stops_no_other_message(
    db, processor, make_spec, outbox, clock, name, value, state
):
    """A moment outside the calendar, or a NUL where a name should be, is set aside at once; the batch goes on. Only what
    has a signature and a subject is parked.
    """
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
    await asyncio.wait_for(processor.process(make_spec(), records(forged, fine, topic=TOPIC)), timeout=600)
    assert await effects(db) == [fine.event_id]
    assert await stuck_rows(db) == [(state, "schema_invalid")]


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


async def test_each_outcome_is_logged(db, processor, make_spec, outbox):
    """A line for each event, applied or stuck, with its correlation id."""
    event = held(outbox, uuid4(), 1)
    logging.getLogger("prizewire_chassis.inbox.outcome").setLevel(logging.INFO)
    with capture_logs() as lines:
        await processor.process(make_spec(), records(event, b"{", topic=TOPIC))
    logged = [(line["event"], line["log_level"], line["correlation_id"]) for line in lines]
    assert logged == [("event applied", "info", "c-1"), ("event stuck", "warning", None)]
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
    """An event that one consumer has processed is new to another consumer, once."""
    event, spec = held(outbox, uuid4(), 1), make_spec(VersionRule.NONE)
    other = replace(spec, name="test.other")
    for consumer in (spec, other, spec, other):
        await processor.process(consumer, records(event, topic=TOPIC))
    assert await effects(db) == [event.event_id] * 2


async def test_an_applied_message_stays_in_the_inbox(db, processor, make_spec, outbox):
    """The service's role deletes nothing from its inbox; its one function lets go of a row only in the transaction that
    made it, or while its message lies parked.
    """
    await processor.process(make_spec(), records(held(outbox, uuid4(), 1), topic=TOPIC))
    async with db.transaction() as tx:
        [kept] = (await tx.execute(text("SELECT consumer, source, event_id, hash FROM inbox"))).all()
        await tx.execute(
            INBOX_FORGET,
            {
                "consumer": kept.consumer,
                "sources": [kept.source],
                "ids": [kept.event_id],
                "hashes": [kept.hash],
            },
        )
    with pytest.raises(DBAPIError) as refused:
        async with db.transaction() as tx:
            await tx.execute(text("DELETE FROM inbox"))
    assert sqlstate(refused.value) == "42501"
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM inbox"))).scalar_one() == 1
