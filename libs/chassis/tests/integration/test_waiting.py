"""Parked heads that wait for something other than a version, and events whose sender waits for the answer."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.chassis.tests.integration.inbox_rig import TOPIC, effects, held, stuck_rows
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, VersionRule
from prizewire_chassis.testing import event_bytes, make_key, records
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.events.payouts import PayoutApproved, PayoutApprovedEvent

APPROVED = "prizewire.payout.approved.v1"
WAITS = Refusal(RefusalCode.RESULT_MISSING, "waits for an approval", park=True)


def approved(outbox, payout, version: int = 2):
    return outbox.event(
        PayoutApprovedEvent,
        PayoutApproved(payout_id=payout, policy_version=1, approvers=[]),
        subject=str(payout),
        version=version,
        correlation_id="c-1",
    )


class Ready:
    """Says which parked heads have what they waited for."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    async def __call__(self, tx) -> Sequence[int]:
        return self.ids


@pytest.fixture
def ready() -> Ready:
    return Ready()


@pytest.fixture
def waiting(make_spec, ready: Ready) -> ConsumerSpec:
    def overtakes(head: str, kind: str) -> bool:
        return head == RefusalCode.RESULT_MISSING and kind == APPROVED

    return replace(make_spec(VersionRule.NONE), overtakes=overtakes, ready=ready)


@pytest.mark.parametrize("together", [True, False])
async def test_the_event_that_a_head_waits_for_overtakes_it(
    db, processor, handler, waiting, make_stuck, ready, outbox, together
):
    """In its batch and in a later one; other followers wait. Once it is ready it goes on, and they behind it."""
    payout = uuid4()
    head, follower, awaited = held(outbox, payout, 1), held(outbox, payout, 3), approved(outbox, payout)
    handler.refuse[head.event_id] = WAITS
    batches = [[head, follower, awaited]] if together else [[head, follower], [awaited]]
    for number, batch in enumerate(batches):
        await processor.process(waiting, records(*batch, topic=TOPIC, start=10 * number))
    assert await effects(db) == [awaited.event_id]
    assert await stuck_rows(db) == [("parked", "result_missing"), ("parked", "subject_parked")]
    stuck = make_stuck(waiting)
    assert await stuck.release() is False
    ready.ids = [(await stuck.page(after=0, limit=1))[0]["id"]]
    assert await stuck.release() is False
    handler.refuse.clear()
    assert await stuck.release() is True
    assert await effects(db) == [event.event_id for event in (awaited, head, follower)]
    assert {state for state, _ in await stuck_rows(db)} == {"replayed"}


async def test_an_event_that_another_process_replayed_is_skipped(
    db, processor, handler, waiting, make_stuck, ready, outbox
):
    """A head that is gone, or no head any more, does not keep the others from being released."""
    payouts = [uuid4(), uuid4()]
    events = [held(outbox, payout, version) for payout in payouts for version in (1, 2)]
    handler.refuse = {event.event_id: WAITS for event in events}
    await processor.process(waiting, records(*events, topic=TOPIC))
    stuck = make_stuck(waiting)
    ids = [row["id"] for row in await stuck.page(after=0, limit=9)]
    handler.refuse.clear()
    ready.ids = [ids[1], ids[0], ids[2], 10**9]
    assert await stuck.release() is True
    assert {state for state, _ in await stuck_rows(db)} == {"replayed"}


async def test_nothing_overtakes_a_head_of_another_reason(db, processor, handler, waiting, outbox):
    """A head that broke holds back what would pass one that waits."""
    payout = uuid4()
    head, awaited = held(outbox, payout, 1), approved(outbox, payout)
    handler.refuse[head.event_id] = Refusal(RefusalCode.HANDLER_ERROR, "broken", park=True)
    await processor.process(waiting, records(head, awaited, topic=TOPIC))
    assert await effects(db) == []
    assert await stuck_rows(db) == [("parked", "handler_error"), ("parked", "subject_parked")]


async def offer(db, processor, spec, value: bytes) -> Refusal | None:
    """As a caller does: roll back what was refused; not even inside the transaction does it lie among stuck events."""

    class Refused(Exception):
        pass

    incoming = processor.read(spec, value)
    if isinstance(incoming, Refusal):
        return incoming
    assert isinstance(incoming, Incoming)
    refusal: Refusal | None = None
    try:
        async with db.transaction() as tx:
            refusal = await processor.offer(tx, spec, incoming)
            if refusal is not None:
                kept = await tx.execute(text("SELECT 1 FROM stuck_events WHERE partition < 0"))
                assert kept.all() == []
                raise Refused  # noqa: TRY301 - what rolls the transaction back
    except Refused:
        return refusal
    return None


async def rows(db) -> tuple[int, int]:
    async with db.transaction() as tx:
        counted = (
            await tx.execute(text("SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM stuck_events)"))
        ).one()
        return counted[0], counted[1]


async def test_an_offered_event_takes_the_path_of_the_others(db, processor, make_spec, outbox):
    """Applied once, whether it comes by hand or from Kafka; another body under its id is a conflict."""
    payout, spec = uuid4(), make_spec(VersionRule.NONE)
    event = held(outbox, payout, 1)
    assert await offer(db, processor, spec, event.value) is None
    assert await offer(db, processor, spec, event.value) is None
    await processor.process(spec, records(event, topic=TOPIC))
    assert await effects(db) == [event.event_id]
    other = event_bytes(
        topic=TOPIC, kind="prizewire.payout.held.v1", source="/prizewire/payouts", subject=str(payout),
        data={"payout_id": str(payout), "reason": "other"}, key=make_key("payouts"), id=event.event_id,
        aggregateversion=1, correlationid="c-1",
    )  # fmt: skip
    refused = await offer(db, processor, spec, other)
    assert refused is not None
    assert refused.code is RefusalCode.ID_CONFLICT
    assert await rows(db) == (1, 0)


async def test_a_refused_offer_leaves_nothing(db, processor, handler, waiting, outbox):
    """Unreadable, forged, refused, parked, or behind a parked event: its sender gets the refusal, and no row is stored."""
    payout = uuid4()
    event, head = held(outbox, payout, 2), held(outbox, payout, 1)
    forged = event.value.replace(b"limit_exceeded", b"limit_exceedeX")
    found = [await offer(db, processor, waiting, value) for value in (b"{", forged)]
    handler.refuse[event.event_id] = Refusal(RefusalCode.TIE_REFUSED, "no")
    found.append(await offer(db, processor, waiting, event.value))
    handler.refuse[event.event_id] = WAITS
    found.append(await offer(db, processor, waiting, event.value))
    assert [refusal.code for refusal in found if refusal] == [
        RefusalCode.NOT_JSON,
        RefusalCode.SIGNATURE_INVALID,
        RefusalCode.TIE_REFUSED,
        RefusalCode.RESULT_MISSING,
    ]
    assert await rows(db) == (0, 0)
    handler.refuse = {head.event_id: WAITS}
    await processor.process(waiting, records(head, topic=TOPIC))
    behind = await offer(db, processor, waiting, event.value)
    assert behind is not None
    assert behind.code is RefusalCode.SUBJECT_PARKED
    assert await rows(db) == (1, 1)
    assert await offer(db, processor, waiting, approved(outbox, payout).value) is None
