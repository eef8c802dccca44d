"""Events of one subject are applied in their order: what must wait waits, what is older has no effect."""

from dataclasses import replace
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import text

from libs.chassis.tests.integration.inbox_rig import TOPIC, effects, held, signed_unreadable, stuck_rows
from prizewire_chassis.checks.stuck_checks import contradicting, parked
from prizewire_chassis.inbox import Refusal, VersionRule
from prizewire_chassis.inbox import processor as processor_module
from prizewire_chassis.stuck_events import NotReplayable
from prizewire_chassis.testing import make_key, records
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.events.payouts import PayoutApproved, PayoutApprovedEvent


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


async def test_the_highest_version_wins_where_events_carry_full_state(db, processor, make_spec, outbox):
    """Under HIGHEST a newer version is applied over a gap, an older one is left out."""
    payout, spec = uuid4(), make_spec(VersionRule.HIGHEST)
    one, three = held(outbox, payout, 1), held(outbox, payout, 3)
    await processor.process(spec, records(three, one, topic=TOPIC))
    assert await effects(db) == [three.event_id]


@pytest.mark.parametrize("rule", [VersionRule.STRICT, VersionRule.HIGHEST])
async def test_a_version_used_for_another_event_leaves_a_trace(db, processor, make_spec, outbox, rule):
    """An authentic event under a version that was applied with another one is dead, and on record once for each batch:
    another person has its producer's key. Repeated events and, where the highest version wins, older ones are not.
    """
    payout, spec = uuid4(), make_spec(rule)
    one, two = held(outbox, payout, 1), held(outbox, payout, 2)
    await processor.process(spec, records(one, two, topic=TOPIC))
    other = outbox.event(
        PayoutApprovedEvent, PayoutApproved(payout_id=payout, policy_version=1, approvers=[]), subject=str(payout),
        version=2, correlation_id="c-1",
    )  # fmt: skip
    await processor.process(spec, records(one, two, other, topic=TOPIC, start=2))
    assert await effects(db) == [one.event_id, two.event_id]
    assert await stuck_rows(db) == [("dead", "version_conflict")]
    async with db.transaction() as tx:
        (row,) = await tx.execute(text("SELECT * FROM audit_log"))
        [breach] = await contradicting(tx)
    assert str(payout) in breach
    assert (row.actor, row.action, row.target) == (spec.name, "event.version_conflict", str(payout))
    assert (row.detail["event_id"], row.detail["version"]) == (other.event_id, 2)


async def test_an_id_used_for_another_event_leaves_a_trace(db, processor, make_spec, outbox):
    """A service's id follows from its version: the same type under the same version is the same event. Another body under it
    is dead, on record and a breach.
    """
    payout, spec = uuid4(), make_spec()
    one = outbox.event(
        PayoutApprovedEvent, PayoutApproved(payout_id=payout, policy_version=1, approvers=[]), subject=str(payout),
        version=1, correlation_id="c-1",
    )  # fmt: skip
    other = outbox.event(
        PayoutApprovedEvent, PayoutApproved(payout_id=payout, policy_version=2, approvers=[]), subject=str(payout),
        version=1, correlation_id="c-1",
    )  # fmt: skip
    assert other.event_id == one.event_id
    await processor.process(spec, records(one, other, topic=TOPIC))
    assert await stuck_rows(db) == [("dead", "id_conflict")]
    async with db.transaction() as tx:
        (row,) = await tx.execute(text("SELECT * FROM audit_log"))
        [breach] = await contradicting(tx)
        assert (row.action, row.reason) == ("event.version_conflict", "id_conflict")
        assert str(payout) in breach
        await tx.execute(text("UPDATE stuck_events SET source = 'game-1'"))
        assert await contradicting(tx) == [], "a game server may use an id twice by mistake"


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


async def test_a_version_under_another_id_has_no_effect(db, processor, make_spec, outbox):
    """A version that was applied counts once, whatever other type of the subject carries it, in its batch and later."""
    payout, spec = uuid4(), make_spec()
    event = held(outbox, payout, 1)
    same = outbox.event(
        PayoutApprovedEvent, PayoutApproved(payout_id=payout, policy_version=1, approvers=[]), subject=str(payout),
        version=1, correlation_id="c-1",
    )  # fmt: skip
    await processor.process(spec, records(event, same, topic=TOPIC))
    await processor.process(spec, records(same, topic=TOPIC, start=2))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == [("dead", "version_conflict")] * 2


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


async def test_an_event_without_effect_changes_no_version(db, processor, handler, make_spec, outbox):
    """A refused event does not use up its version: the authentic one with the same version is applied."""
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


async def test_a_type_of_no_concern_leaves_no_trace(db, processor, handler, make_spec, outbox):
    """Where versions of its type are not looked at either: no row in the inbox, and it never waits behind a parked event."""
    payout = uuid4()
    spec = replace(make_spec(VersionRule.NONE), types=frozenset({"prizewire.payout.held.v1"}))
    head = held(outbox, payout, 1)
    handler.refuse[head.event_id] = Refusal(RefusalCode.EVENT_MISMATCH, "another amount", park=True)
    other = outbox.event(
        PayoutApprovedEvent, PayoutApproved(payout_id=payout, policy_version=1, approvers=[]), subject=str(payout),
        version=2, correlation_id="c-1",
    )  # fmt: skip
    await processor.process(spec, records(head, other, topic=TOPIC))
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT event_id, reason FROM stuck_events"))
        assert [tuple(row) for row in rows] == [(head.event_id, "event_mismatch")]
        rows = await tx.execute(text("SELECT event_id FROM inbox"))
        assert [row.event_id for row in rows] == [head.event_id]


@pytest.mark.parametrize("rule", [VersionRule.STRICT, VersionRule.HIGHEST, VersionRule.NONE])
async def test_an_authentic_unreadable_event_parks_its_subject(
    db, processor, make_spec, make_stuck, outbox, clock, monkeypatch, rule
):
    """It is a breach, nothing newer goes past it, other subjects go on; once its consumer can read it, all are applied."""
    payout, spec = uuid4(), make_spec(rule)
    one, three, other = held(outbox, payout, 1), held(outbox, payout, 3), held(outbox, uuid4(), 1)
    unreadable = signed_unreadable(outbox, payout, 2)
    await processor.process(spec, records(one, unreadable, three, other, topic=TOPIC))
    assert await effects(db) == [one.event_id, other.event_id]
    assert await stuck_rows(db) == [("parked", "schema_invalid"), ("parked", "subject_parked")]
    stuck = make_stuck(spec)
    async with db.transaction() as tx:
        [breach] = await parked(stuck, tx)
    assert str(payout) in breach
    [head, _] = await stuck.page(after=0, limit=2)
    assert (await stuck.replay(head["id"], actor="op")).reason == "schema_invalid"
    readable = held(outbox, payout, 2)
    decode = processor_module.decode
    monkeypatch.setattr(
        processor_module,
        "decode",
        lambda *, value, **others: decode(value=readable.value if value == unreadable else value, **others),
    )
    answer = await stuck.replay(head["id"], actor="op")
    assert (answer.state, answer.reason, answer.released) == ("replayed", None, 1)
    assert await effects(db) == [event.event_id for event in (one, other, readable, three)]


async def test_a_later_version_of_a_type_waits_for_its_reader(db, processor, make_spec, outbox):
    """Events of a producer that was updated first are parked, not dead: their signatures are valid."""
    raw = orjson.loads(held(outbox, uuid4(), 1).value) | {"type": "prizewire.payout.held.v2"}
    signed = sign_raw(topic=TOPIC, raw=raw, key=make_key("payouts"))
    forged = {**signed, "id": str(uuid4())}
    messages = records(orjson.dumps(signed), orjson.dumps(forged), topic=TOPIC)
    await processor.process(make_spec(), messages)
    assert await stuck_rows(db) == [("parked", "unsupported_version"), ("dead", "unsupported_version")]
