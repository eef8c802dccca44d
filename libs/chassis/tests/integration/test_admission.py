"""Unauthenticated events are refused before deduplication: they park nothing, wait behind nothing and take no id."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from libs.chassis.tests.integration.inbox_rig import TOPIC, effects, held, stuck_rows
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, VersionRule
from prizewire_chassis.testing import event_bytes, make_key, records
from prizewire_contracts.codes import RefusalCode


class ScriptedAdmission:
    """Refuses events whose reason is in ``forged``; raises as a test sets it."""

    def __init__(self) -> None:
        self.forged: set[str] = set()
        self.raising: list[Exception] = []

    async def __call__(self, tx, batch: Sequence[Incoming]) -> dict[int, Refusal]:
        if self.raising:
            raise self.raising.pop()
        return {
            index: Refusal(RefusalCode.SOURCE_NOT_ALLOWED, "forged", park=True)
            for index, item in enumerate(batch)
            if item.event.data.reason in self.forged
        }


@pytest.fixture
def admission() -> ScriptedAdmission:
    return ScriptedAdmission()


@pytest.fixture
def guarded(make_spec: Callable[..., ConsumerSpec], admission: ScriptedAdmission) -> ConsumerSpec:
    return replace(make_spec(VersionRule.NONE), admit=admission)


def forged(payout, event_id: str) -> bytes:
    return event_bytes(
        topic=TOPIC, kind="prizewire.payout.held.v1", source="/prizewire/payouts", subject=str(payout),
        data={"payout_id": str(payout), "reason": "forged"}, key=make_key("payouts"), id=event_id,
        aggregateversion=1, correlationid="c-1",
    )  # fmt: skip


async def inbox_size(db) -> int:
    async with db.transaction() as tx:
        return int((await tx.execute(text("SELECT count(*) FROM inbox"))).scalar_one())


async def test_a_forgery_does_not_wait_behind_a_parked_event(
    db, processor, handler, guarded, make_stuck, admission, outbox
):
    """It is dead and not parked, and the authentic event under the same id is parked, then applied by the replay."""
    payout = uuid4()
    head, authentic = held(outbox, payout, 1), held(outbox, payout, 2)
    admission.forged = {"forged"}
    handler.refuse[head.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(guarded, records(head, topic=TOPIC))
    await processor.process(
        guarded, records(forged(payout, authentic.event_id), authentic, topic=TOPIC, start=1)
    )
    assert await stuck_rows(db) == [
        ("parked", "not_supported_yet"),
        ("dead", "source_not_allowed"),
        ("parked", "subject_parked"),
    ]
    handler.refuse.clear()
    stuck = make_stuck(guarded)
    answer = await stuck.replay((await stuck.page(after=0, limit=1))[0]["id"], actor="op")
    assert (answer.state, answer.released) == ("replayed", 1)
    assert await effects(db) == [head.event_id, authentic.event_id]


async def test_a_replay_is_admitted_again(db, processor, handler, guarded, make_stuck, admission, outbox):
    """A parked event whose admission refuses it now is dead, and its id is free again; followers are released."""
    payout = uuid4()
    head, follower = held(outbox, payout, 1), held(outbox, payout, 2)
    handler.refuse[head.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    first = forged(payout, follower.event_id)
    await processor.process(guarded, records(head, first, topic=TOPIC))
    admission.forged = {"forged"}
    handler.refuse.clear()
    stuck = make_stuck(guarded)
    ids = [row["id"] for row in await stuck.page(after=0, limit=9)]
    assert (await stuck.replay(ids[0], actor="op")).state == "replayed"
    assert await stuck_rows(db) == [("replayed", "not_supported_yet"), ("dead", "source_not_allowed")]
    await processor.process(guarded, records(follower, topic=TOPIC, start=2))
    assert await effects(db) == [head.event_id, follower.event_id]
    assert (await stuck.replay(ids[1], actor="op")).state == "dead"


async def test_a_stored_event_is_a_duplicate_even_if_admission_refuses_it_now(
    db, processor, guarded, admission, outbox
):
    """An applied event that is delivered again after its key was taken out has no effect and is not stuck."""
    event = held(outbox, uuid4(), 1)
    await processor.process(guarded, records(event, topic=TOPIC))
    admission.forged = {"limit_exceeded"}
    await processor.process(guarded, records(event, topic=TOPIC))
    await processor.process(guarded, records(event, topic=TOPIC, start=5))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == []
    assert await inbox_size(db) == 1


async def test_an_admission_that_raises_parks_nothing(db, processor, guarded, make_stuck, admission, outbox):
    """An event over which admission raises is dead: it was never found authentic. A failure that passes is retried."""
    event = held(outbox, uuid4(), 1)
    admission.raising = [ValueError("odd")] * 3 + [asyncpg.CannotConnectNowError("starting up")]
    await processor.process(guarded, records(event, topic=TOPIC))
    assert await stuck_rows(db) == [("dead", "handler_error")]
    assert await inbox_size(db) == 0
    stuck = make_stuck(guarded)
    (row,) = await stuck.page(after=0, limit=9)
    assert "odd" in row["detail"]
    assert (await stuck.replay(row["id"], actor="op")).state == "replayed"
    assert await effects(db) == [event.event_id]


async def test_an_event_without_correlation_id_is_found_by_the_one_it_belongs_to(
    db, processor, make_spec, make_stuck, admission, outbox
):
    """Whether it broke in decoding or was refused later, it is stored and logged under the derived id; a named one stays."""
    spec = replace(
        make_spec(), admit=admission, correlation_of=lambda source, subject: f"of {source} and {subject}"
    )
    admission.forged = {"limit_exceeded"}
    unreadable = (
        b'{"specversion":"1.0","type":"prizewire.payout.held.v1","source":"/games/a","subject":"m1","data":7}'
    )
    nobodys = b'{"specversion":"1.0","type":"prizewire.payout.held.v1","subject":"m1","data":7}'
    with capture_logs() as lines:
        await processor.process(spec, records(unreadable, nobodys, held(outbox, uuid4(), 1), topic=TOPIC))
    wanted = ["of /games/a and m1", None, "c-1"]
    assert [line["correlation_id"] for line in lines if line["event"] == "event stuck"] == wanted
    stuck = make_stuck(spec)
    assert [row["correlation_id"] for row in await stuck.page(after=0, limit=9)] == wanted
    found = await stuck.page(after=0, limit=9, correlation_id="of /games/a and m1")
    assert [row["reason"] for row in found] == ["schema_invalid"]
