"""A record that the owner of the tables added is found by the event that it lacks."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from prizewire_chassis.audit import (
    SURELY_KEPT,
    Audit,
    AuditFilter,
    AuditTable,
    link_hash,
    newest_published,
    published_record,
    verify_chain,
)
from prizewire_chassis.audit import chain as chain_module
from prizewire_chassis.audit import published as published_module
from prizewire_chassis.checks.service_checks import audit_check
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.outbox import purge_published

PAGE = Path(__file__).resolve().parents[4] / "docs" / "audit.md"
TABLE = AuditTable("payouts", newest_published("payouts"))
DAY = timedelta(days=1)
INSERT = text(
    "INSERT INTO audit_log (sequence, at, actor, action, target, reason, detail, correlation_id, prev_hash, hash) "
    "VALUES (:sequence, CAST(CAST(:at AS text) AS timestamptz), :actor, :action, :target, :reason, '{}', :correlation_id, "
    ":prev_hash, :hash)"
)


@pytest.fixture
def audit(outbox, clock) -> Audit:
    return Audit(service="payouts", outbox=outbox, clock=clock)


async def recorded(db: Database, audit: Audit, count: int = 1) -> None:
    """Audited actions of the service."""
    for _ in range(count):
        async with db.transaction() as tx:
            await audit.record(tx, actor="op", action="x.done", target="t")


async def records(db: Database) -> list[dict[str, Any]]:
    async with db.transaction() as tx:
        rows = await TABLE.page(tx, AuditFilter(), after=None, limit=100, newest_first=False)
    return [published_record(row, service="payouts") for row in rows]


async def forge(db: Database, owner: Database, count: int = 1) -> None:
    """The owner adds records that continue the chain, with fitting hashes."""
    newest = (await records(db))[-1]
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        for _ in range(count):
            bare = {
                **newest,
                "sequence": newest["sequence"] + 1,
                "actor": "mallory",
                "prev_hash": newest["hash"],
                "detail": {},
            }
            newest = {**bare, "hash": link_hash(bare)}
            await tx.execute(
                INSERT, {name: newest[name] for name in newest if name not in ("service", "detail")}
            )
        await tx.execute(text("ALTER TABLE audit_log ENABLE TRIGGER USER"))


async def breaches(db: Database, clock: Clock | None = None) -> list[str]:
    async with db.transaction() as tx:
        return await verify_chain(tx, service="payouts", clock=clock)


async def delete_events(owner: Database, *numbers: int) -> None:
    async with owner.transaction() as tx:
        for number in numbers:
            await tx.execute(
                text("DELETE FROM outbox WHERE event_id = :id"),
                {"id": published_module.event_of("payouts", number)},
            )


def unpublished(*numbers: int) -> list[str]:
    return [
        f"audit record {number} has no event in the outbox, although an older record has one"
        for number in numbers
    ]


async def test_a_forged_record_at_the_end_is_named_also_below_genuine_ones(db, owner, audit):
    """Its hash and its link fit, and the next genuine record continues it."""
    await recorded(db, audit, 3)
    await forge(db, owner)
    assert await breaches(db) == unpublished(4)
    await recorded(db, audit, 2)
    await forge(db, owner)
    assert await breaches(db) == unpublished(4, 7)


async def test_more_forged_records_than_one_look_up_are_named(db, owner, audit, monkeypatch):
    """Their events would fill several look-ups, at the end and between genuine records."""
    monkeypatch.setattr(published_module, "CHUNK", 2)
    monkeypatch.setattr(chain_module, "CHUNK", 2)
    await recorded(db, audit, 3)
    await forge(db, owner, 7)
    assert sorted(await breaches(db)) == sorted(unpublished(*range(4, 11)))
    await recorded(db, audit, 3)
    assert sorted(await breaches(db)) == sorted(unpublished(*range(4, 11)))
    async with db.transaction() as tx:
        served = await TABLE.published(tx, before=None, limit=100)
    assert [one.sequence for one in served] == [13, 12, 11, 3, 2, 1]


async def test_a_search_ends_after_many_numbers_without_an_event(db, owner, audit, monkeypatch):
    """A chain whose events are pruned is not searched to its beginning."""
    monkeypatch.setattr(published_module, "CHUNK", 2)
    monkeypatch.setattr(published_module, "GAP_MAX", 4)
    await recorded(db, audit, 8)
    await delete_events(owner, 4, 5, 6, 7)
    async with db.transaction() as tx:
        assert [one.sequence for one in await TABLE.published(tx, before=None, limit=100)] == [8]
    assert await breaches(db) == []


async def test_pruned_events_are_no_breach(db, owner, audit, clock):
    """The outbox loses its oldest events: nothing can be said of their records, nor of the chain once none is left."""
    await recorded(db, audit, 3)
    clock.advance(DAY)
    await recorded(db, audit, 2)
    async with owner.transaction() as tx:
        await tx.execute(text("DELETE FROM outbox_waiting"))
    await purge_published(db, clock=clock, keep=DAY / 2)
    async with db.transaction() as tx:
        assert [one.sequence for one in await TABLE.published(tx, before=None, limit=10)] == [5, 4]
    assert await breaches(db) == []
    clock.advance(DAY)
    await purge_published(db, clock=clock, keep=DAY / 2)
    assert await breaches(db) == []
    await forge(db, owner)
    assert await breaches(db) == []
    await recorded(db, audit)
    assert await breaches(db) == []


async def test_deleted_events_hide_no_young_record(db, owner, audit, clock):
    """Somebody added a record and deleted the events of all records, or of the older ones: each record for whose event it is too
    early to be pruned is named. An older one is not.
    """
    await recorded(db, audit, 2)
    clock.advance(SURELY_KEPT)
    await recorded(db, audit, 2)
    await forge(db, owner)
    await delete_events(owner, 1, 2)
    assert await breaches(db, clock) == unpublished(5)
    await delete_events(owner, 3, 4)
    young = [
        f"audit record {number} has no event in the outbox, although it is younger than 13 days"
        for number in (3, 4, 5)
    ]
    assert await breaches(db, clock) == young
    async with db.transaction() as tx:
        assert await audit_check("payouts", trust=None, clock=clock).run(tx) == young
    await recorded(db, audit)
    assert await breaches(db, clock) == young
    clock.advance(SURELY_KEPT)
    assert await breaches(db, clock) == []


async def test_a_young_record_that_is_written_during_the_check_is_no_breach(
    db, owner, audit, clock, monkeypatch
):
    """The owner removed a forged record and the service used its number again, after the events were read."""
    await recorded(db, audit, 2)
    await forge(db, owner)
    await delete_events(owner, 1, 2)
    read, calls = chain_module.published_before, []

    async def then_repaired(*args: Any, **named: Any) -> Any:
        found = await read(*args, **named)
        if not calls:
            calls.append(1)
            await remove(owner, number=3)
            await recorded(db, audit)
        return found

    monkeypatch.setattr(chain_module, "published_before", then_repaired)
    assert await breaches(db, clock) == [
        f"audit record {number} has no event in the outbox, although it is younger than 13 days"
        for number in (1, 2)
    ]


async def test_a_young_record_with_another_break_is_named_once(db, owner, audit, clock):
    """A record whose hash does not fit, and whose event was deleted."""
    await recorded(db, audit)
    await delete_events(owner, 1)
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        await tx.execute(text("UPDATE audit_log SET actor = 'x'"))
        await tx.execute(text("ALTER TABLE audit_log ENABLE TRIGGER USER"))
    assert await breaches(db, clock) == ["audit record 1 breaks the chain"]


async def test_a_record_with_another_break_is_named_once(db, owner, audit):
    """A forged record whose hash does not fit either."""
    await recorded(db, audit, 3)
    await forge(db, owner)
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        await tx.execute(text("UPDATE audit_log SET actor = 'x' WHERE sequence = 4"))
        await tx.execute(text("ALTER TABLE audit_log ENABLE TRIGGER USER"))
    assert await breaches(db) == ["audit record 4 breaks the chain"]


async def test_a_record_that_was_restored_after_a_cut_has_its_event(db, owner, audit):
    """What `audit_chain_broken` advises leaves no breach."""
    await recorded(db, audit, 5)
    async with owner.transaction() as tx:
        await tx.execute(text("CREATE TABLE backup AS SELECT * FROM audit_log"))
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        await tx.execute(text("DELETE FROM audit_log WHERE sequence > 3"))
        await tx.execute(text("ALTER TABLE audit_log ENABLE TRIGGER USER"))
    assert len(await breaches(db)) == 1
    async with owner.transaction() as tx:
        await tx.execute(
            text("INSERT INTO audit_log SELECT * FROM backup WHERE sequence > 3 ORDER BY sequence")
        )
    assert await breaches(db) == []


async def remove(owner: Database, *, number: int) -> None:
    """The statements of the page."""
    (block,) = re.findall(r"(?ms)^```sql\n(.*?)^```$", PAGE.read_text())
    found = [one.strip() for one in block.replace("NUMBER", str(number)).split(";") if one.strip()]
    assert (found[0], found[-1]) == ("BEGIN", "COMMIT")
    async with owner.transaction() as tx:
        for statement in found[1:-1]:
            await tx.execute(text(statement))


async def test_the_owner_removes_a_forged_record_at_the_end(db, owner, audit):
    """The statements of the page do it, and the chain goes on."""
    await recorded(db, audit, 3)
    await forge(db, owner)
    await remove(owner, number=4)
    await recorded(db, audit)
    assert (await breaches(db), len(await records(db))) == ([], 4)


async def test_the_statements_remove_no_record_below_a_genuine_one(db, owner, audit):
    """The genuine record names the forged one's hash: without it the chain would be broken for ever."""
    await recorded(db, audit, 3)
    await forge(db, owner)
    await recorded(db, audit)
    await remove(owner, number=4)
    assert (await breaches(db), len(await records(db))) == (unpublished(4), 5)


async def test_a_record_that_takes_the_number_of_a_removed_one_during_the_check_is_no_breach(
    db, owner, audit, monkeypatch
):
    """The events were read before the owner removed a forged record, and its number after the service had used it again."""
    await recorded(db, audit, 3)
    await forge(db, owner)
    read, calls = chain_module.published_before, []

    async def then_repaired(*args: Any, **named: Any) -> Any:
        found = await read(*args, **named)
        if not calls:
            calls.append(1)
            await remove(owner, number=4)
            await recorded(db, audit)
        return found

    monkeypatch.setattr(chain_module, "published_before", then_repaired)
    assert (await breaches(db), len(await records(db))) == ([], 4)


async def test_a_record_that_is_written_during_the_check_is_no_breach(db, audit, monkeypatch):
    """It was committed with its event after the chain was read, and before its events are."""
    await recorded(db, audit, 3)
    read = chain_module.published_before

    async def after_another(*args: Any, **named: Any) -> Any:
        await recorded(db, audit)
        return await read(*args, **named)

    monkeypatch.setattr(chain_module, "published_before", after_another)
    assert await breaches(db) == []


async def test_events_that_are_pruned_during_the_check_are_no_breach(db, owner, audit, clock, monkeypatch):
    """The outbox loses old events between two look-ups of the check."""
    monkeypatch.setattr(published_module, "CHUNK", 2)
    monkeypatch.setattr(chain_module, "CHUNK", 2)
    await recorded(db, audit, 4)
    clock.advance(DAY)
    await recorded(db, audit, 2)
    async with owner.transaction() as tx:
        await tx.execute(text("DELETE FROM outbox_waiting"))
    read = chain_module.published_before

    async def then_pruned(*args: Any, **named: Any) -> Any:
        found = await read(*args, **named)
        await purge_published(db, clock=clock, keep=DAY / 2)
        return found

    monkeypatch.setattr(chain_module, "published_before", then_pruned)
    assert await breaches(db) == []
