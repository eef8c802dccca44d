"""What a stolen login of a service can write into the audit chain: only rows that continue it. Each of these tests uses the
login of the running service, which may insert records, unless it says otherwise.
"""

import asyncio
import re
from typing import Any

import asyncpg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from libs.chassis.tests.integration.conftest import START
from prizewire_chassis.audit import GENESIS, SEQUENCE_MAX, Audit, verify_chain
from prizewire_chassis.audit import chain as audit_module
from prizewire_chassis.db import Database
from prizewire_chassis.db.schema import create_chassis_schema_v5
from prizewire_chassis.problems import Problem
from prizewire_devstack.waiting import eventually

BIGINT_MAX = 2**63 - 1
DEADLINE_S = 600.0
INSERT = text(
    "INSERT INTO audit_log (sequence, at, actor, action, target, detail, correlation_id, prev_hash, hash) VALUES "
    "(:sequence, CAST(:at AS timestamptz), 'attacker', :action, 'x', CAST(:detail AS jsonb), 'x', :prev_hash, :hash)"
)


def row(sequence: int, prev_hash: str, **other: Any) -> dict[str, Any]:
    """A record that no service wrote."""
    plain = {"at": START, "action": "x.done", "detail": "{}", "hash": f"{sequence % 2**64:064x}"}
    return {"sequence": sequence, "prev_hash": prev_hash, **plain, **other}


async def three_records(db: Database, audit: Audit) -> str:
    """Three records of the service; returns the hash of the newest."""
    for number in range(1, 4):
        async with db.transaction() as tx:
            await audit.record(tx, actor="op", action="x.done", target=str(number))
    return await newest(db)


async def newest(db: Database) -> str:
    async with db.transaction() as tx:
        return (
            await tx.execute(text("SELECT hash FROM audit_log ORDER BY sequence DESC LIMIT 1"))
        ).scalar_one()


async def breaches(db: Database) -> list[str]:
    async with db.transaction() as tx:
        return await verify_chain(tx, service="payouts")


@pytest.fixture
def audit(outbox, clock) -> Audit:
    return Audit(service="payouts", outbox=outbox, clock=clock)


async def recorded(db: Database, audit: Audit) -> None:
    """An audited action of the service, which must succeed."""
    async with db.transaction() as tx:
        await audit.record(tx, actor="op", action="x.done", target="later")


@pytest.mark.parametrize(
    ("sequence", "prev_hash", "link"),
    [
        (BIGINT_MAX, None, None),
        (BIGINT_MAX, GENESIS, None),
        (5, None, None),
        (0, None, None),
        (-1, None, None),
        (-BIGINT_MAX - 1, None, None),
        (4, GENESIS, None),
        (4, "", None),
        (4, None, ""),
        (4, None, "f" * 63),
        (4, None, "F" * 64),
        (4, None, "f" * 64 + "\n"),
    ],
)
async def test_a_row_that_does_not_continue_the_chain_is_refused(db, audit, sequence, prev_hash, link):
    """Another number than the next one, the hash of another record than the newest, or no hash: the chain goes on."""
    last = await three_records(db, audit)
    values = row(sequence, last if prev_hash is None else prev_hash)
    with pytest.raises(DBAPIError, match=r"does not continue the chain|out of range"):
        async with db.transaction() as tx:
            await tx.execute(INSERT, values if link is None else {**values, "hash": link})
    await recorded(db, audit)
    assert await breaches(db) == []


@pytest.mark.parametrize(("sequence", "prev_hash"), [(BIGINT_MAX, GENESIS), (2, GENESIS), (1, "f" * 64)])
async def test_the_first_row_begins_a_chain(db, audit, sequence, prev_hash):
    """It has the number 1 and 64 zeros."""
    with pytest.raises(DBAPIError, match="does not continue the chain"):
        async with db.transaction() as tx:
            await tx.execute(INSERT, row(sequence, prev_hash))
    await recorded(db, audit)
    assert await breaches(db) == []


@pytest.mark.parametrize("far", [6, BIGINT_MAX])
async def test_no_row_of_several_jumps(db, audit, far):
    """One statement with a row that continues the chain and a row that is far from it changes nothing."""
    last = await three_records(db, audit)
    good, bad = row(4, last), row(far, f"{4:064x}")
    several = text(
        "INSERT INTO audit_log (sequence, at, actor, action, target, detail, correlation_id, prev_hash, hash) "
        "SELECT u.sequence, :at, 'attacker', 'x.done', 'x', '{}', 'x', u.prev_hash, u.hash "
        "FROM unnest(CAST(:sequences AS bigint[]), CAST(:prev_hashes AS text[]), CAST(:hashes AS text[])) "
        "AS u(sequence, prev_hash, hash)"
    )
    for rows in ([good, bad], [bad, good], [good, good]):
        values = {
            "at": START,
            "sequences": [one["sequence"] for one in rows],
            "prev_hashes": [one["prev_hash"] for one in rows],
            "hashes": [one["hash"] for one in rows],
        }
        with pytest.raises(DBAPIError, match="does not continue the chain"):
            async with db.transaction() as tx:
                await tx.execute(several, values)
    await recorded(db, audit)
    assert await breaches(db) == []


async def test_copy_jumps_no_more_than_insert(db, urls, audit):
    """COPY fires the same trigger, row by row."""
    last = await three_records(db, audit)
    connection = await asyncpg.connect(urls.runtime)
    names = ("sequence", "at", "actor", "action", "target", "detail", "correlation_id", "prev_hash", "hash")
    rows = [
        (number, START, "attacker", "x.done", "x", "{}", "x", before, f"{number:064x}")
        for number, before in ((4, last), (BIGINT_MAX, f"{4:064x}"))
    ]
    with pytest.raises(asyncpg.CheckViolationError, match="does not continue the chain"):
        await connection.copy_records_to_table("audit_log", columns=names, records=rows)
    await connection.close()
    await recorded(db, audit)
    assert await breaches(db) == []


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
async def test_two_writers_at_once_make_no_fork(db, urls, audit, isolation):
    """The second one waits for the first, then its row follows nothing: also where its transaction still sees the chain as
    it was before. Neither waits for ever.
    """
    last = await three_records(db, audit)
    attacker = await asyncpg.connect(urls.runtime)
    await attacker.execute(f"BEGIN ISOLATION LEVEL {isolation}")
    await attacker.fetchval("SELECT count(*) FROM audit_log")
    insert = (
        "INSERT INTO audit_log (sequence, at, actor, action, target, detail, correlation_id, prev_hash, hash) "
        "VALUES (4, now(), 'attacker', 'x.done', 'x', '{}', 'x', $1, repeat('f', 64))"
    )
    async with asyncio.timeout(DEADLINE_S):
        async with db.transaction() as tx:
            await audit.record(tx, actor="op", action="x.done", target="4")
            writing = asyncio.create_task(attacker.execute(insert, last))
            await waits_for_a_lock(db, attacker)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await writing
    await attacker.close()
    await recorded(db, audit)
    assert await breaches(db) == []


async def waits_for_a_lock(db: Database, other: Any) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE pid = :pid AND NOT granted")

    async def blocked() -> bool:
        async with db.transaction() as tx:
            return bool((await tx.execute(waiting, {"pid": other.get_server_pid()})).scalar_one())

    await eventually(blocked, deadline_s=600)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"action": "not a word"},
        {"detail": '{"n": 1.5}'},
        {"detail": '{"n": 99999999999999999999}'},
        {"detail": '{"n":' * 2000 + "1" + "}" * 2000},
        {"detail": "[]"},
        {"at": "infinity"},
        {"at": "4713-01-01 BC"},
    ],
    ids=repr,
)
async def test_a_false_record_in_its_place_is_reported(db, audit, urls, other):
    """A stolen login can still add a record that no service wrote. The chain goes on behind it, and the check reports it,
    whatever it holds.
    """
    last = await three_records(db, audit)
    values = row(4, last, **{"at": "2026-01-01 Z", **other})
    connection = await asyncpg.connect(urls.runtime)
    await connection.execute(
        "INSERT INTO audit_log (sequence, at, actor, action, target, detail, correlation_id, prev_hash, hash) "
        "VALUES ($1, $2::text::timestamptz, 'attacker', $3, 'x', $4::text::jsonb, 'x', $5, $6)",
        *(values[name] for name in ("sequence", "at", "action", "detail", "prev_hash", "hash")),
    )
    await connection.close()
    await recorded(db, audit)
    assert await breaches(db) == ["audit record 4 breaks the chain"]


async def without_guard(owner: Database, *records: dict[str, Any]) -> None:
    """As the chain could be before the guard: the owner drops it, and records are added."""
    async with owner.transaction() as tx:
        await tx.execute(text("DROP TRIGGER audit_log_continues ON audit_log"))
        await tx.execute(text("DROP FUNCTION audit_log_continues()"))
        for record in records:
            await tx.execute(INSERT, record)


async def migrated(owner: Database) -> None:
    async with owner.transaction() as tx:
        await tx.run_sync(
            lambda connection: create_chassis_schema_v5(Operations(MigrationContext.configure(connection)))
        )


async def test_a_sound_chain_is_migrated(db, owner, audit):
    """The guard is made over records that are there; the chain goes on."""
    await three_records(db, audit)
    await without_guard(owner)
    await migrated(owner)
    await recorded(db, audit)
    assert await breaches(db) == []


async def test_a_broken_chain_is_migrated_and_stays_reported(db, owner, audit):
    """A gap keeps nobody from migrating. Records follow the newest one, and the gap stays a breach."""
    await three_records(db, audit)
    await without_guard(owner, row(9, "e" * 64))
    await migrated(owner)
    await recorded(db, audit)
    assert await breaches(db) == ["audit record 9 breaks the chain"]


@pytest.mark.parametrize(
    "record",
    [
        row(BIGINT_MAX, GENESIS),
        row(SEQUENCE_MAX, GENESIS),
        row(4, GENESIS, hash="none"),
    ],
    ids=["bigint", "integer", "hash"],
)
async def test_a_chain_that_was_ended_is_migrated_and_can_be_repaired(db, owner, audit, record):
    """Where a row that no record can follow was written before the guard: the migration succeeds, the check reports the row,
    what is audited is refused with a code, and the owner of the tables can remove the row.
    """
    await three_records(db, audit)
    await without_guard(owner, record)
    await migrated(owner)
    number = record["sequence"]
    assert await breaches(db) == [f"audit record {number} breaks the chain"]
    with pytest.raises(Problem, match=re.escape(f"record {number}")) as refused:
        await recorded(db, audit)
    assert (refused.value.status, refused.value.code) == (503, "audit_chain_broken")
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE audit_log DISABLE TRIGGER audit_log_append_only"))
        await tx.execute(text("DELETE FROM audit_log WHERE sequence = :number"), {"number": number})
        await tx.execute(text("ALTER TABLE audit_log ENABLE TRIGGER audit_log_append_only"))
    await recorded(db, audit)
    assert await breaches(db) == []


async def test_a_record_that_another_process_writes_during_the_check_is_no_breach(db, audit, monkeypatch):
    """It was committed with its event after the chain was read, and before the outbox is asked."""
    await three_records(db, audit)
    ask = audit_module.newest_in_outbox

    async def after_another(*args: Any, **named: Any) -> int:
        await recorded(db, audit)
        return await ask(*args, **named)

    monkeypatch.setattr(audit_module, "newest_in_outbox", after_another)
    assert await breaches(db) == []
