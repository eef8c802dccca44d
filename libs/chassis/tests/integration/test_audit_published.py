"""An audit chain is compared with the signed events that the outbox still holds."""

from typing import Any

import orjson
import pytest
from sqlalchemy import text

from prizewire_chassis.audit import (
    Audit,
    AuditFilter,
    AuditTable,
    ChainReader,
    link_hash,
    newest_published,
    published_record,
    verify_chain,
)
from prizewire_chassis.audit import published as published_module
from prizewire_chassis.db import Database
from prizewire_chassis.testing import make_key, make_trust
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.topics import AUDIT

TABLE = AuditTable("payouts", newest_published("payouts"))


@pytest.fixture
async def audit(db, outbox, clock) -> Audit:
    """Six records."""
    made = Audit(service="payouts", outbox=outbox, clock=clock)
    for number in range(1, 7):
        async with db.transaction() as tx:
            await made.record(tx, actor="op", action="x.done", target=f"t-{number}")
    return made


async def tamper(owner: Database, *statements: str, **values: Any) -> None:
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        for statement in statements:
            await tx.execute(text(statement), values)


async def records(db: Database) -> list[dict[str, Any]]:
    async with db.transaction() as tx:
        rows = await TABLE.page(tx, AuditFilter(), after=None, limit=100, newest_first=False)
    return [published_record(row, service="payouts") for row in rows]


async def breaches(db: Database, **options: Any) -> list[str]:
    async with db.transaction() as tx:
        return await verify_chain(tx, service="payouts", **options)


async def rewrite(db: Database, owner: Database, *, begin: int) -> list[dict[str, Any]]:
    """The owner changes a record and computes its hash and all later ones again."""
    chain = await records(db)
    for place in range(begin - 1, len(chain)):
        before = {"prev_hash": chain[place - 1]["hash"]} if place else {}
        bare = {**chain[place], "actor": "nobody", **before}
        chain[place] = {**bare, "hash": link_hash(bare)}
        await tamper(
            owner,
            "UPDATE audit_log SET actor = :actor, prev_hash = :prev_hash, hash = :hash WHERE sequence = :sequence",
            **{name: chain[place][name] for name in ("actor", "prev_hash", "hash", "sequence")},
        )
    return chain


@pytest.mark.usefixtures("audit")
async def test_a_chain_that_was_rewritten_is_found(db, owner):
    """Its links and hashes are right. The events show it, as far as the outbox still has them."""
    chain = await rewrite(db, owner, begin=3)
    reader = ChainReader("payouts")
    for one in chain:
        reader.read(one)
    assert reader.breaks == []
    found = [f"audit record {number} is not the record that was published" for number in (3, 4, 5, 6)]
    assert await breaches(db) == found
    async with owner.transaction() as tx:
        await tx.execute(text("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 4)"))
    assert await breaches(db) == found[2:]
    async with db.transaction() as tx:
        known = await TABLE.published(tx, before=None, limit=10)
        assert [one.sequence for one in known] == [6, 5]
        assert [one.sequence for one in await TABLE.published(tx, before=6, limit=10)] == [5]
        assert [one.sequence for one in await TABLE.published(tx, before=None, limit=1)] == [6]
    reader = ChainReader("payouts", {one.sequence: one.hash for one in known})
    for one in chain:
        reader.read(one)
    assert [(one.sequence, one.kind) for one in reader.breaks] == [(5, "rewritten"), (6, "rewritten")]


@pytest.mark.usefixtures("audit")
async def test_events_that_were_rewritten_have_no_signature(db, owner):
    """A person who rewrites the outbox as well lacks the key. An event of a key that is not in the trust store is forged too."""
    chain = await rewrite(db, owner, begin=6)
    async with owner.transaction() as tx:
        value = (await tx.execute(text("SELECT value FROM outbox ORDER BY id DESC LIMIT 1"))).scalar_one()
        raw = {**orjson.loads(value), "data": chain[-1]}
        change = text("UPDATE outbox SET value = :value WHERE id = (SELECT max(id) FROM outbox)")
        await tx.execute(change, {"value": orjson.dumps(raw)})
    assert await breaches(db) == []
    forged = "the event of audit record 6 in the outbox does not have the signature of payouts"
    assert await breaches(db, trust=make_trust()) == [forged]
    async with owner.transaction() as tx:
        signed = sign_raw(topic=AUDIT.name, raw=raw, key=make_key("rewards"))
        await tx.execute(change, {"value": orjson.dumps(signed)})
    assert await breaches(db, trust=make_trust(["payouts"])) == [forged]
    async with owner.transaction() as tx:
        await tx.execute(change, {"value": orjson.dumps({**raw, "keyid": "payouts-unknown"})})
    assert await breaches(db, trust=make_trust()) == [forged]


@pytest.mark.usefixtures("audit")
async def test_an_event_that_nobody_can_read_is_no_record(db, owner):
    """It raises nothing and fits no record."""
    async with owner.transaction() as tx:
        await tx.execute(text("UPDATE outbox SET value = '[]' WHERE id = (SELECT max(id) FROM outbox)"))
    assert await breaches(db) == ["audit record 6 is not the record that was published"]


@pytest.mark.usefixtures("audit")
async def test_a_deep_cut_is_found_without_the_event_right_behind_it(db, owner, monkeypatch):
    """The outbox lost the events of the first missing records. The newest one that it holds shows how much is missing."""
    await tamper(owner, "DELETE FROM audit_log WHERE sequence > 2")
    async with owner.transaction() as tx:
        await tx.execute(text("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT 5)"))
    cut = "audit records 3 to 6 are missing at the end of the chain, although they were published"
    assert await breaches(db) == [cut]
    async with db.transaction() as tx:
        head = await TABLE.head(tx)
    assert (head.sequence, head.published) == (2, 6)
    # the missing numbers are more than are looked up at once: the newest event is searched
    monkeypatch.setattr(published_module, "CHUNK", 1)
    assert await breaches(db) == [cut]
    monkeypatch.undo()
    # many other events of the service follow: the next numbers are looked up
    monkeypatch.setattr(published_module, "SCANNED_MAX", 0)
    assert await breaches(db) == [cut]


@pytest.mark.usefixtures("audit")
async def test_two_records_with_one_number_are_both_shown(db, owner):
    """Also where a page ends between them."""
    await tamper(
        owner,
        "ALTER TABLE audit_log DROP CONSTRAINT audit_log_pkey",
        "INSERT INTO audit_log SELECT sequence, at, 'twin', action, target, reason, detail, correlation_id, prev_hash, hash "
        "FROM audit_log WHERE sequence = 3",
    )
    for newest_first in (False, True):
        seen: list[tuple[int, str]] = []
        after = None
        while True:
            async with db.transaction() as tx:
                rows = await TABLE.page(tx, AuditFilter(), after=after, limit=1, newest_first=newest_first)
            if not rows:
                break
            seen += [(row.sequence, row.actor) for row in rows]
            after = (rows[-1].sequence, rows[-1].place)
        assert sorted(seen) == sorted([*((number, "op") for number in range(1, 7)), (3, "twin")])
