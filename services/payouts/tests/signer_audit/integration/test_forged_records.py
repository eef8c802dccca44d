"""Records that somebody with the signer's message key publishes: none enters the copy, and none keeps out the genuine record."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database
from prizewire_chassis.inbox import BatchProcessor
from prizewire_chassis.stuck_events import Discards, ReplayAnswer, StuckEvents
from prizewire_chassis.testing import event_bytes, make_key, make_trust
from prizewire_contracts.decode import event_hash
from prizewire_contracts.events.audit import AuditRecorded
from prizewire_contracts.topics import AUDIT
from prizewire_payouts.signer_audit import storage
from prizewire_payouts.signer_audit.storage import RECORDS, append
from services.payouts.tests.rig import START, Rig
from services.payouts.tests.signer_audit.integration.test_signer_audit import (
    KIND,
    Kept,
    chain,
    event,
    record,
)

PAGE = Path(__file__).resolve().parents[5] / "docs" / "runbooks" / "forged-record.md"


class Repaired(Kept):
    """The consumer, and an operator who discards and replays."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        self.stuck = self._over(rig.processor)

    def _over(self, processor: BatchProcessor) -> StuckEvents:
        return StuckEvents(db=self.rig.db, processor=processor, specs=[self.spec], clock=self.rig.clock)

    async def found(self, *, state: str, reason: str | None = None) -> list[int]:
        rows = await self.stuck.page(after=0, limit=100, state=state)
        return [row["id"] for row in rows if reason in (None, row["reason"])]

    async def discard(self, stuck_id: int, *, processor: BatchProcessor | None = None) -> None:
        stuck = self.stuck if processor is None else self._over(processor)
        await Discards(stuck=stuck, audit=self.rig.audit).discard(
            stuck_id, actor="ada", reason="forged", may_hold_money=False, record=_unrecorded
        )

    async def repair(self) -> None:
        """What the page says: discard each record that does not fit, replay the dead ones, and let the job do the rest."""
        for _ in range(3):
            while await self.stuck.release():
                pass
            for stuck_id in await self.found(state="parked", reason="event_mismatch"):
                await self.discard(stuck_id)
            for stuck_id in await self.found(state="dead"):
                await self.stuck.replay(stuck_id, actor="ada")

    async def actors(self) -> set[str]:
        return {row.actor for row in await self.rig.rows("SELECT actor FROM signer_audit_records")}


async def _unrecorded(tx: AsyncConnection, stuck_id: int, answer: ReplayAnswer) -> None:
    """Record nothing."""


@pytest.fixture
def kept(rig: Rig) -> Repaired:
    return Repaired(rig)


def forged(number: int, *, id: str | None = None, subject: str = "signer", prev: str = "ab" * 32) -> bytes:  # noqa: A002 - as in the event
    """A record with the signer's signature that the signer did not write; without ``id`` with the predictable id of the
    genuine record.
    """
    data = record(number, prev=prev, actor="mallory")
    genuine = event(data)
    if id is None and subject == "signer":
        return genuine
    return event_bytes(
        topic=AUDIT.name,
        kind=KIND,
        source="/prizewire/signer",
        subject=subject,
        data=data,
        key=make_key("signer"),
        id=id or _id_of(number),
        aggregateversion=number,
        correlationid="c",
        time=START.isoformat(),
    )


def _id_of(number: int) -> str:
    found: str = orjson.loads(event(record(number, prev="ab" * 32)))["id"]
    return found


ORDERS: dict[str, Any] = {
    "same id first": [[forged(2), 2, 3, 4]],
    "same id first, one by one": [[forged(2)], [2], [3], [4]],
    "other id first": [[forged(2, id="x"), 2, 3, 4]],
    "other id first, one by one": [[forged(2, id="x")], [2], [3], [4]],
    "same id last": [[2, forged(2), 3, 4]],
    "other id last": [[2], [forged(2, id="x")], [3, 4]],
    "same id of a later record": [[forged(4)], [2, 3], [4]],
    "other id of a later record": [[forged(4, id="x")], [2], [3], [4]],
    "far number": [[forged(900, id="x")], [2, 3, 4]],
    "two forged records": [[forged(2)], [forged(2, id="x")], [2, 3, 4]],
    "two forged records under one id": [[forged(2)], [forged(2, prev="cd" * 32)], [2, 3, 4]],
    "another subject": [[forged(1, id=_id_of(2), subject="x"), 2, 3, 4]],
    "another subject, other id": [[forged(1, id="x", subject="x"), 2, 3, 4]],
    "with a hole": [[forged(3), 3], [4], [2]],
}


@pytest.mark.parametrize("batches", ORDERS.values(), ids=ORDERS)
async def test_the_genuine_records_are_kept_after_the_forged_ones_are_discarded(rig, kept, batches):
    """In each order of arrival the copy has the genuine records in the end and never a forged one."""
    genuine = chain(5)
    await kept.feed(event(genuine[0]))
    for batch in batches:
        await kept.feed(*(one if isinstance(one, bytes) else event(genuine[one - 1]) for one in batch))
        assert await kept.actors() == {"signer"}
    await kept.repair()
    await kept.feed(event(genuine[4]))
    assert await kept.numbers() == [1, 2, 3, 4, 5]
    assert await kept.actors() == {"signer"}
    for left in (*await kept.found(state="parked"), *await kept.found(state="dead")):
        await kept.discard(left)
    assert await kept.breaches() == []
    served = await rig.rows("SELECT hash FROM signer_audit_records ORDER BY sequence")
    assert [row.hash for row in served] == [one["hash"] for one in genuine]


@pytest.mark.parametrize("size", [1, 3, 4], ids=["one by one", "as the last ones of a batch", "in one batch"])
async def test_a_forged_record_under_another_id_delays_nothing(rig, kept, size):
    """The genuine record has the next number and continues the chain, so that it does not wait for a person."""
    whole = chain(3)
    batch = [event(whole[0]), forged(2, id="x"), event(whole[1]), event(whole[2])]
    for begin in range(0, len(batch), size):
        await kept.feed(*batch[begin : begin + size])
    assert await kept.numbers() == [1, 2, 3]
    assert await rig.stuck() == [("parked", "event_mismatch")]


async def test_the_owner_removes_a_forged_record_that_continues_the_chain(rig, kept):
    """Only the later records show that it is forged. The statements of the page make room for the genuine one."""
    whole = chain(4)
    await kept.feed(event(whole[0]), forged(2, prev=whole[0]["hash"]))
    assert await kept.actors() == {"signer", "mallory"}
    await kept.feed(*map(event, whole[1:]))
    assert await rig.stuck() == [
        ("dead", "id_conflict"),
        ("parked", "event_mismatch"),
        ("parked", "subject_parked"),
    ]
    assert await kept.breaches() != []
    await _follow_the_page(rig, number=2)
    for state in ("dead", "parked"):
        (stuck_id, *_) = await kept.found(state=state)
        assert (await kept.stuck.replay(stuck_id, actor="ada")).state == "replayed"
    assert (await kept.numbers(), await kept.actors()) == ([1, 2, 3, 4], {"signer"})
    assert await kept.breaches() == []


async def test_the_ids_of_removed_records_are_free(rig, kept):
    """A forged record in the copy may have the id of a later genuine one. The dead records are replayed, the lowest number first."""
    whole = chain(5)
    second = forged(2, id=_id_of(5), prev=whole[0]["hash"])
    third = forged(3, prev=orjson.loads(second)["data"]["hash"])
    await kept.feed(event(whole[0]), second, third)
    await kept.feed(*map(event, whole[1:3]))
    assert await kept.numbers() == [1, 2, 3]
    await _follow_the_page(rig, number=2)
    for stuck_id in await kept.found(state="dead"):
        assert (await kept.stuck.replay(stuck_id, actor="ada")).state == "replayed"
    await kept.feed(*map(event, whole[3:]))
    assert (await kept.numbers(), await kept.actors()) == ([1, 2, 3, 4, 5], {"signer"})
    assert (await kept.found(state="dead"), await kept.breaches()) == ([], [])


async def _follow_the_page(rig: Rig, *, number: int) -> None:
    owner = Database(rig.urls.migration, application_name="owner")
    try:
        async with owner.transaction() as tx:
            for statement in _statements_of_the_page(number=number):
                await tx.execute(text(statement))
    finally:
        await owner.close()


def _statements_of_the_page(*, number: int) -> list[str]:
    (block,) = re.findall(r"(?ms)^```sql\n(.*?)^```$", PAGE.read_text())
    found = [one.strip() for one in block.replace("NUMBER", str(number)).split(";") if one.strip()]
    assert (found[0], found[-1]) == ("BEGIN", "COMMIT")
    return found[1:-1]


async def test_a_second_record_under_a_kept_number_is_a_breach(kept):
    """Until a person discards it. The kept record is not said to be the wrong one."""
    whole = chain(3)
    late = forged(2)
    await kept.feed(*map(event, whole))
    await kept.feed(late, event(whole[1]))
    link = orjson.loads(late)["data"]["hash"]
    assert await kept.breaches() == [f"another audit record 2 of signer came, with the hash {link}"]
    async with kept.rig.db.transaction() as tx:
        (known,) = await RECORDS.published(tx, before=None, limit=10)
    assert (known.sequence, known.hash) == (2, link)
    (dead,) = await kept.found(state="dead")
    await kept.discard(dead)
    assert await kept.breaches() == []


async def known(kept: Repaired) -> tuple[int, list[tuple[int, str]]]:
    """What `prizewire audit verify` compares the copy with: the newest known number, and the contradicting records."""
    async with kept.rig.db.transaction() as tx:
        head = await RECORDS.head(tx)
        found = await RECORDS.published(tx, before=None, limit=10)
    return head.published, [(one.sequence, one.hash) for one in found]


async def with_a_forged_copy(kept: Repaired, whole: list[dict[str, Any]]) -> None:
    """The copy has record 1 of the signer, and two forged ones that continue it under other ids."""
    second = forged(2, id="x", prev=whole[0]["hash"])
    third = forged(3, id="y", prev=orjson.loads(second)["data"]["hash"])
    await kept.feed(event(whole[0]), second, third)
    assert await kept.numbers() == [1, 2, 3]


async def test_genuine_records_that_wait_below_the_end_of_a_forged_copy_contradict_it(rig, kept):
    """A forged record with a far number comes first, so that the genuine ones are parked behind it and none is dead."""
    whole = chain(3)
    await with_a_forged_copy(kept, whole)
    await kept.feed(forged(900, id="z"))
    await kept.feed(event(whole[1]), event(whole[2]))
    assert await rig.stuck() == [
        ("parked", "version_gap"),
        ("parked", "subject_parked"),
        ("parked", "subject_parked"),
    ]
    _, contradicting = await known(kept)
    assert contradicting == [(one["sequence"], one["hash"]) for one in (whole[2], whole[1])]
    other = [
        f"another audit record {number} of signer came, with the hash {link}"
        for number, link in contradicting
    ]
    assert (await kept.breaches())[1:] == other


async def test_a_dead_record_above_the_end_is_missing(rig, kept):
    """A forged record of another subject has the id of the genuine one, which is dead."""
    whole = chain(2)
    await kept.feed(event(whole[0]), forged(1, id=_id_of(2), subject="x"), event(whole[1]))
    assert ("dead", "id_conflict") in await rig.stuck()
    assert (await kept.numbers(), await known(kept)) == ([1], (2, []))
    assert await kept.breaches() == ["audit record 2 of signer is missing at the end, although published"]


async def test_discarded_genuine_records_are_missing(kept):
    """An operator discards what the signer wrote: the copy does not count as whole, until the records are replayed."""
    whole = chain(4)
    await kept.feed(event(whole[0]), forged(2), event(whole[2]), event(whole[3]))
    await kept.feed(event(whole[1]))
    for state in ("parked", "dead"):
        for stuck_id in await kept.found(state=state):
            await kept.discard(stuck_id)
    assert await kept.numbers() == [1]
    assert await known(kept) == (4, [])
    assert await kept.breaches() == [
        "audit record 2 of signer to 4 are missing at the end, although published"
    ]


async def test_discarded_genuine_records_contradict_a_forged_copy(kept):
    """Their numbers are not above its end."""
    whole = chain(3)
    await with_a_forged_copy(kept, whole)
    await kept.feed(event(whole[1]), event(whole[2]))
    for stuck_id in await kept.found(state="dead"):
        await kept.discard(stuck_id)
    found = [(one["sequence"], one["hash"]) for one in (whole[2], whole[1])]
    assert await known(kept) == (3, found)
    assert len(await kept.breaches()) == 2


async def test_a_page_of_contradicting_records_is_full(kept):
    """Records that came twice with the same content take no place of it."""
    whole = chain(3)
    await kept.feed(*map(event, whole))
    await kept.feed(forged(2), *(_again(one, id=f"again-{number}") for number, one in enumerate(whole)))
    async with kept.rig.db.transaction() as tx:
        assert [one.sequence for one in await RECORDS.published(tx, before=None, limit=1)] == [2]


def _again(data: dict[str, Any], *, id: str) -> bytes:  # noqa: A002 - as in the event
    return event_bytes(
        topic=AUDIT.name,
        kind=KIND,
        source="/prizewire/signer",
        subject="signer",
        data=data,
        key=make_key("signer"),
        id=id,
        aggregateversion=data["sequence"],
        correlationid="c",
        time=START.isoformat(),
    )


async def test_a_genuine_record_is_taken_when_it_is_sent_again(kept):
    """After the discard, the record under the same id needs no replay of its stuck copy."""
    one, two, three = chain(3)
    await kept.feed(event(one), forged(2), event(two), event(three))
    assert await kept.numbers() == [1]
    (head,) = await kept.found(state="parked", reason="event_mismatch")
    await kept.discard(head)
    await kept.feed(event(two))
    while await kept.stuck.release():
        pass
    assert await kept.numbers() == [1, 2, 3]


async def test_a_genuine_record_that_was_discarded_by_mistake_can_be_replayed(kept):
    """No record may be left out, so that its discard is no end."""
    one, two, three = chain(3)
    await kept.feed(event(one), event(three))
    (waiting,) = await kept.found(state="parked")
    await kept.discard(waiting)
    await kept.feed(event(two))
    assert await kept.numbers() == [1, 2]
    assert (await kept.stuck.replay(waiting, actor="ada")).state == "replayed"
    assert await kept.numbers() == [1, 2, 3]


async def test_a_discard_frees_the_id_without_the_key(rig, kept):
    """The stolen key may have left the trust store before the forged record is discarded."""
    one, two = chain(2)
    await kept.feed(event(one), forged(2))
    (head,) = await kept.found(state="parked")
    without = BatchProcessor(db=rig.db, trust=make_trust(["payouts"]), clock=rig.clock)
    await kept.discard(head, processor=without)
    await kept.feed(event(two))
    assert await kept.numbers() == [1, 2]


async def _occupy(rig: Rig, message: bytes, *, with_hash: bytes | None = None) -> None:
    """Payouts' own login writes a row into the inbox under the id of a coming event."""
    found = event_hash(message) if with_hash is None else with_hash
    values = {"id": orjson.loads(message)["id"], "hash": found, "now": START}
    async with rig.db.transaction() as tx:
        await tx.execute(_OCCUPY, values)


async def test_a_record_that_the_inbox_keeps_out_is_inserted_by_the_owner(rig, kept):
    """Payouts' login wrote the row with the hash of the genuine event, so that it counts as applied and nothing is stuck. The next
    record shows it. The owner frees the ids and inserts the missing record.
    """
    whole = chain(3)
    await _occupy(rig, event(whole[1]))
    await kept.feed(event(whole[0]), event(whole[1]))
    assert (await kept.numbers(), await rig.stuck(), await kept.breaches()) == ([1], [], [])
    await kept.feed(event(whole[2]))
    assert await rig.stuck() == [("parked", "version_gap")]
    assert await kept.breaches() == [
        "audit record 2 of signer to 3 are missing at the end, although published"
    ]
    owner = Database(rig.urls.migration, application_name="owner")
    try:
        async with owner.transaction() as tx:
            await tx.execute(text(_statements_of_the_page(number=2)[-1]))
            await append(tx, [AuditRecorded.model_validate(whole[1])])
            await tx.execute(text("UPDATE applied_versions SET version = 2 WHERE consumer = 'payouts.audit'"))
    finally:
        await owner.close()
    await kept.repair()
    assert (await kept.numbers(), await kept.actors()) == ([1, 2, 3], {"signer"})
    assert (await rig.stuck(), await kept.breaches()) == ([("replayed", "version_gap")], [])


async def test_a_record_whose_id_is_taken_is_replayed_after_the_owner_freed_it(rig, kept):
    """Payouts' login wrote the row with another hash, so that the genuine record is dead at once."""
    whole = chain(2)
    await _occupy(rig, event(whole[1]), with_hash=b"x" * 32)
    await kept.feed(*map(event, whole))
    assert await rig.stuck() == [("dead", "id_conflict")]
    assert await kept.breaches() == ["audit record 2 of signer is missing at the end, although published"]
    owner = Database(rig.urls.migration, application_name="owner")
    try:
        async with owner.transaction() as tx:
            await tx.execute(text(_statements_of_the_page(number=2)[-1]))
    finally:
        await owner.close()
    await kept.repair()
    assert (await kept.numbers(), await kept.breaches()) == ([1, 2], [])


async def test_a_record_that_did_not_come_is_a_breach(rig, kept):
    """The owner of payouts' tables adds a record that continues the copy. No message had its number."""
    whole = chain(3)
    await kept.feed(*map(event, whole[:2]))
    async with rig.db.transaction() as tx:
        await append(tx, [AuditRecorded.model_validate(record(3, prev=whole[1]["hash"], actor="mallory"))])
    assert await known(kept) == (2, [])
    assert await kept.breaches() == ["audit record 3 of signer did not come from Kafka"]
    await kept.feed(event(whole[2]))
    other = f"another audit record 3 of signer came, with the hash {whole[2]['hash']}"
    assert await kept.breaches() == [other]


@pytest.mark.parametrize("records_read", [False, True], ids=["before", "after"])
async def test_a_record_that_comes_during_the_check_is_no_breach(kept, monkeypatch, records_read):
    """Before or after the records are read."""
    whole = chain(3)
    await kept.feed(*map(event, whole[:2]))
    read, calls = storage.newest_received, []

    async def beside_another(*args: Any) -> int:
        calls.append(args)
        if records_read and len(calls) == 2:
            await kept.feed(event(whole[2]))
        found = await read(*args)
        if not records_read and len(calls) == 1:
            await kept.feed(event(whole[2]))
        return found

    monkeypatch.setattr(storage, "newest_received", beside_another)
    assert (await kept.breaches(), await kept.numbers()) == ([], [1, 2, 3])


_OCCUPY = text(
    "INSERT INTO inbox (consumer, source, event_id, hash, received_at) "
    "VALUES ('payouts.audit', '/prizewire/signer', :id, :hash, :now)"
)
