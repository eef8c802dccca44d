"""Writes that wait for each other: sent as one statement, before anything that could miss them, or not at all."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.db import Conflict, Read, Write, copy_rows, fetch, later
from prizewire_chassis.db.database import is_transient, sqlstate
from prizewire_devstack.waiting import eventually

EFFECT = Write("effects", "INSERT INTO effects (event_id) SELECT unnest(CAST(:ids AS text[]))")
NOTE = Write(
    "notes", "INSERT INTO notes (id, note) SELECT unnest(CAST(:ids AS text[])), :note", raced=["notes_pkey"]
)
BOTH = Write(
    "effects",
    "INSERT INTO effects (event_id) SELECT unnest(CAST(:ids AS text[])) RETURNING event_id",
    "INSERT INTO notes (id, note) SELECT event_id, 'from ' || event_id FROM {0}",
)
ONCE = Write(
    "notes",
    "INSERT INTO notes (id, note) SELECT unnest(CAST(:ids AS text[])), '' ON CONFLICT DO NOTHING RETURNING 1",
)


@pytest.fixture(autouse=True)
async def notes(db, owner):
    """A second table, in which an id stands once."""
    async with owner.transaction() as tx:
        await tx.execute(text("CREATE TABLE notes (id text PRIMARY KEY, note text NOT NULL)"))


NOTES = Read("SELECT id, note FROM notes WHERE id = ANY (CAST(:ids AS text[])) ORDER BY id")


async def effects(tx) -> list[str]:
    return sorted((await tx.execute(text("SELECT event_id FROM effects"))).scalars())


async def test_writes_that_wait_leave_as_one_statement(db):
    """Two tables are written, and nothing was sent until the commit."""
    async with db.transaction() as tx:
        await later(tx, EFFECT, {"ids": ["a", "b"]})
        await later(tx, NOTE, {"ids": ["c"], "note": "x"})
        assert len(tx._waiting) == 2
    async with db.transaction() as tx:
        assert await effects(tx) == ["a", "b"]
        assert (await tx.execute(text("SELECT id, note FROM notes"))).all() == [("c", "x")]


async def test_the_next_statement_sees_them(db):
    """A read, a COPY and a write of the same table come after what waited."""
    async with db.transaction() as tx:
        await later(tx, EFFECT, {"ids": ["a"]})
        assert await effects(tx) == ["a"]
        await later(tx, NOTE, {"ids": ["c"], "note": "x"})
        await copy_rows(tx, table="effects", columns=["event_id"], rows=[("b",)])
        assert not tx._waiting
        await later(tx, EFFECT, {"ids": ["d"]})
        await later(tx, EFFECT, {"ids": ["e"]})
        assert len(tx._waiting) == 1
    async with db.transaction() as tx:
        assert await effects(tx) == ["a", "b", "d", "e"]
        in_order = await tx.execute(text("SELECT event_id FROM effects ORDER BY n"))
        assert list(in_order.scalars()) == ["a", "b", "d", "e"]


async def test_a_part_reads_what_an_earlier_one_returned(db):
    """A row is written together with the row that names it."""
    async with db.transaction() as tx:
        await later(tx, BOTH, {"ids": ["a"]})
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT id, note FROM notes"))).all() == [("a", "from a")]


async def test_a_rollback_drops_waiting_writes(db):
    """What waits when a transaction fails is never sent, and what was sent is gone."""
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await later(tx, EFFECT, {"ids": ["a"]})
            await effects(tx)
            await later(tx, NOTE, {"ids": ["c"], "note": "x"})
            _ = 1 / 0
    async with db.transaction() as tx:
        assert await effects(tx) == []


async def test_a_write_alone_belongs_to_the_transaction(db):
    """A write before any statement of SQLAlchemy's is rolled back like others."""
    with pytest.raises(DBAPIError):
        async with db.transaction() as tx:
            await later(tx, EFFECT, {"ids": ["a"]})
            await tx.send()
            await tx.execute(text("SELECT 1 / 0"))
    async with db.transaction() as tx:
        assert await effects(tx) == []


async def test_too_few_rows_are_a_conflict(db):
    """A write that must touch so many rows and does not fails its transaction; ``run`` tries it again."""
    async with db.transaction() as tx:
        await later(tx, ONCE, {"ids": ["a"]}, rows=1)
    with pytest.raises(Conflict):
        async with db.transaction() as tx:
            await later(tx, EFFECT, {"ids": ["x"]})
            await later(tx, ONCE, {"ids": ["a", "b"]}, rows=2)
    with pytest.raises(KeyError):
        async with db.transaction() as tx:
            await later(tx, ONCE, {"ids": ["a"]}, rows=1, lost=KeyError)
    tries = []

    async def work(tx) -> None:
        tries.append(1)
        await later(tx, ONCE, {"ids": ["a" if len(tries) < 3 else "b"]}, rows=1)

    await db.run(work)
    assert len(tries) == 3
    async with db.transaction() as tx:
        assert await effects(tx) == []


async def test_the_second_transaction_gets_a_conflict(db):
    """The row of a transaction that commits meanwhile is a conflict where a race was expected, and an error elsewhere."""
    second = asyncio.Event()

    async def late() -> None:
        async with db.transaction() as tx:
            await later(tx, NOTE, {"ids": ["a"], "note": "second"})
            second.set()

    async with db.transaction() as tx:
        await later(tx, NOTE, {"ids": ["a"], "note": "first"})
        await tx.send()
        racing = asyncio.create_task(late())
        await second.wait()
    with pytest.raises(Conflict):
        await racing
    with pytest.raises(DBAPIError) as refused:
        async with db.transaction() as tx:
            await later(tx, BOTH, {"ids": ["a"]})
    assert sqlstate(refused.value) == "23505"


async def test_a_connection_without_a_transaction_of_ours_is_refused(db):
    """Nobody would send what waits there, nor begin a transaction."""
    async with db.engine.connect() as connection:
        with pytest.raises(TypeError):
            await later(connection, EFFECT, {"ids": ["a"]})
        with pytest.raises(TypeError):
            await fetch(connection, NOTES, {"ids": ["a"]})


async def test_rows_are_read_after_waiting_writes(db):
    """Columns are attributes; what was handed in before is seen."""
    async with db.transaction() as tx:
        await later(tx, NOTE, {"ids": ["a", "b"], "note": "x"})
        rows = await fetch(tx, NOTES, {"ids": ["b", "c"]})
        assert [(row.id, row.note, row["note"]) for row in rows] == [("b", "x", "x")]
        assert not hasattr(rows[0], "nothing")


async def test_errors_of_the_driver_are_raised_as_sqlalchemy_errors(db):
    """A refused read, and a transaction that can do nothing more, report their SQLSTATE."""
    with pytest.raises(DBAPIError) as refused:
        async with db.transaction() as tx:
            await later(tx, EFFECT, {"ids": ["a"]})
            await fetch(tx, Read("SELECT 1 / CAST(:by AS int)"), {"by": 0})
    assert sqlstate(refused.value) == "22012"
    with pytest.raises(DBAPIError) as ended:
        async with db.transaction() as tx:
            await fetch(tx, Read("SELECT pg_terminate_backend(pg_backend_pid())"), {})
    assert is_transient(ended.value)
    for _ in range(10):
        async with db.transaction() as tx:
            assert await effects(tx) == [], "and the pool never gives that connection again"


async def test_an_outage_of_the_database_is_reported_once(db):
    """Every connection of the pool is lost, and its end is known or not: one transaction fails, and none after it."""
    everybody = asyncio.Barrier(4)
    drivers = []

    async def hold() -> None:
        async with db.transaction() as tx:
            drivers.append(tx.driver)
            await everybody.wait()

    await asyncio.gather(*(hold() for _ in range(4)))
    with pytest.raises(DBAPIError):
        async with db.transaction() as tx:
            # its own connection last: it could end no other one after that
            others = (
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
                "WHERE datname = current_database() AND usename = current_user ORDER BY pid = pg_backend_pid()) found"
            )
            await fetch(tx, Read(others), {})
    await eventually(lambda: all(driver.is_closed() for driver in drivers))
    for _ in range(10):
        async with db.transaction() as tx:
            assert await effects(tx) == []


async def test_errors_of_sqlalchemy_are_raised_unchanged(db):
    """A connection that is lost under a statement of SQLAlchemy's: nothing that comes after hides that it will pass."""
    with pytest.raises(DBAPIError) as ended:
        async with db.transaction() as tx:
            await later(tx, EFFECT, {"ids": ["a"]})
            await tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert is_transient(ended.value)
    async with db.transaction() as tx:
        assert await effects(tx) == []


async def test_a_closed_connection_is_dropped(db):
    """The driver refuses to begin anything on it."""
    async with db.transaction() as tx:
        driver = tx.driver
    await driver.close()
    for _ in range(10):
        with suppress(DBAPIError):
            async with db.transaction() as tx:
                break
    for _ in range(10):
        async with db.transaction() as tx:
            assert await effects(tx) == []


async def test_a_cancelled_transaction_leaves_nothing_behind(db):
    """A task is cancelled while a statement runs: it is rolled back, and the connection can be used again."""
    begun = asyncio.Event()

    async def work() -> None:
        async with db.transaction() as tx:
            await later(tx, EFFECT, {"ids": ["a"]})
            await tx.send()
            begun.set()
            await fetch(tx, Read("SELECT pg_sleep(60)"), {})

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with db.transaction() as tx:
        assert await effects(tx) == []
