"""Conflicts are tried again and nothing else is; the database itself refuses what must not happen."""

import asyncio

import asyncpg
import pytest
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.db import Database, Read, after_commit, copy_rows, fetch
from prizewire_chassis.db.database import is_transient, sqlstate
from prizewire_chassis.db.schema import append_only, fix_search_path, guard_transitions
from prizewire_devstack.waiting import eventually


def raising(state: str, *, times: int):
    """Work that fails with an SQLSTATE, so many times, then has one effect."""
    calls: list[int] = []

    async def work(tx) -> int:
        calls.append(1)
        await tx.execute(text("INSERT INTO effects (event_id) VALUES ('x')"))
        if len(calls) <= times:
            await tx.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"))
        return len(calls)

    return work, calls


async def count(db) -> int:
    async with db.transaction() as tx:
        return (await tx.execute(text("SELECT count(*) FROM effects"))).scalar_one()


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_conflict_is_tried_again_as_a_whole(db, state):
    """A serialization failure or deadlock costs a repetition, and leaves the effect of one run."""
    work, _ = raising(state, times=3)
    assert await db.run(work) == 4
    assert await count(db) == 1


async def test_conflicts_without_end_are_given_up(db):
    """The tries are bounded; the conflict is what the caller sees, and nothing was done."""
    work, calls = raising("40001", times=99)
    with pytest.raises(DBAPIError) as given_up:
        await db.run(work, attempts=3)
    assert sqlstate(given_up.value) == "40001"
    assert len(calls) == 3
    assert await count(db) == 0


@pytest.mark.parametrize("state", ["23505", "23514", "42P01", "57014"])
async def test_other_errors_are_not_tried_again(db, state):
    """A violated constraint or a bug comes back at once: the same work would fail the same way."""
    work, calls = raising(state, times=99)
    with pytest.raises(DBAPIError) as refused:
        await db.run(work)
    assert sqlstate(refused.value) == state
    assert len(calls) == 1
    assert await count(db) == 0


async def test_a_real_deadlock_ends_with_both_done(db):
    """Two transactions that lock two rows crosswise are both committed in the end."""
    async with db.transaction() as tx:
        await tx.execute(text("INSERT INTO effects (event_id, note) VALUES ('a', ''), ('b', '')"))
    both = asyncio.Barrier(2)
    met: set[str] = set()

    async def cross(mine: str, other: str) -> None:
        async def work(tx) -> None:
            note = text("UPDATE effects SET note = note || :mine WHERE event_id = :id")
            await tx.execute(note, {"mine": mine, "id": mine})
            if mine not in met:
                met.add(mine)
                await both.wait()
            await tx.execute(note, {"mine": mine, "id": other})

        await db.run(work)

    await asyncio.gather(cross("a", "b"), cross("b", "a"))
    async with db.transaction() as tx:
        notes = [row.note for row in await tx.execute(text("SELECT note FROM effects"))]
    assert [sorted(note) for note in notes] == [["a", "b"], ["a", "b"]]


async def test_callbacks_run_after_the_commit_and_only_then(db):
    """What is to happen after a commit sees it committed, and never happens for a rollback."""
    seen: list[str] = []
    async with db.transaction() as tx:
        after_commit(tx, lambda: seen.append("committed"))
        assert seen == []
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            after_commit(tx, lambda: seen.append("rolled back"))
            raise ZeroDivisionError
    assert seen == ["committed"]


async def test_a_commit_that_fails_is_no_commit(db, owner):
    """What the database refuses at the very end has no callbacks either."""
    await attempt(owner, "ALTER TABLE effects ADD UNIQUE (event_id) DEFERRABLE INITIALLY DEFERRED")
    seen: list[str] = []
    with pytest.raises(DBAPIError) as refused:
        async with db.transaction() as tx:
            after_commit(tx, lambda: seen.append("committed"))
            await tx.execute(text("INSERT INTO effects (event_id) VALUES ('a'), ('a')"))
    assert sqlstate(refused.value) == "23505"
    assert seen == []


@pytest.fixture
async def brief(urls, db):
    """A database whose transactions take at most two seconds."""
    database = Database(urls.runtime, application_name="brief", transaction_max_s=2.0)
    yield database
    await database.close()


async def test_a_process_that_freezes_within_a_statement_frees_its_locks(db, brief):
    """Asyncpg sends Parse and Flush, and then Bind and Sync. Between them PostgreSQL's idle timeouts do not run: the limit
    of the transaction ends it.
    """
    await attempt(db, "INSERT INTO effects (event_id) VALUES ('a')")
    take = text("UPDATE effects SET note = :note WHERE event_id = 'a'")
    with pytest.raises(DBAPIError):
        async with brief.transaction() as frozen:
            await frozen.execute(take, {"note": "frozen"})
            await frozen.driver.prepare("SELECT note FROM effects")
            async with db.transaction() as other:
                state = text(
                    "SELECT state, wait_event FROM pg_stat_activity WHERE application_name = 'brief'"
                )
                assert tuple((await other.execute(state)).one()) == ("active", "ClientRead")
                await other.execute(take, {"note": "other"})
            # it wakes up: what it sends now is lost with its connection
            await eventually(frozen.driver.is_closed)
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT note FROM effects"))).scalar_one() == "other"


LAST_WORDS = b"SFATAL\x00VFATAL\x00C57P01\x00Mterminating connection due to administrator command\x00\x00"


def receive_last_message(tx) -> None:
    """Have asyncpg receive PostgreSQL's last message between two statements, before the end of the connection."""
    tx.driver._protocol.data_received(b"E" + (len(LAST_WORDS) + 4).to_bytes(4) + LAST_WORDS)


ASKING = {
    "a statement of SQLAlchemy": lambda tx: tx.execute(text("SELECT 1")),
    "a statement of the driver": lambda tx: fetch(tx, Read("SELECT 1 AS one"), {}),
    "the commit": lambda tx: asyncio.sleep(0),
}


@pytest.mark.parametrize("how", ASKING)
async def test_a_protocol_broken_by_the_end_of_the_connection_is_transient(brief, how):
    """PostgreSQL ends the backend: asyncpg read its last message, but not yet the end of the connection."""
    with pytest.raises(DBAPIError) as lost:
        async with brief.transaction(limited=False) as tx:
            receive_last_message(tx)
            assert not tx.driver.is_closed()
            await ASKING[how](tx)
    assert "InternalClientError" in repr(lost.value) + repr(lost.value.__cause__)
    assert is_transient(lost.value)
    await attempt(brief, "SELECT 1")


@pytest.mark.parametrize("how", [name for name in ASKING if name != "the commit"])
async def test_an_internal_error_on_an_open_connection_is_a_bug(brief, how):
    """Asyncpg raises the same class where it cannot read an answer: this is not transient."""

    def unreadable(_: str) -> None:
        raise asyncpg.InternalClientError("a value that asyncpg cannot read")

    with pytest.raises((DBAPIError, asyncpg.InternalClientError)) as broken:
        async with brief.transaction(limited=False) as tx:
            codec = {"schema": "pg_catalog", "encoder": str, "decoder": unreadable}
            await tx.driver.set_type_codec("int4", **codec)
            try:
                await ASKING[how](tx)
            finally:
                assert not tx.driver.is_closed()
                await tx.driver.reset_type_codec("int4", schema="pg_catalog")
    assert "cannot read" in str(broken.value)
    assert not is_transient(broken.value)


async def test_a_transaction_that_takes_too_long_is_ended_and_may_be_tried_again(brief):
    """The error says that it passes: a batch is delivered again, and nothing is set aside."""
    with pytest.raises(DBAPIError) as ended:
        await attempt(brief, "SELECT pg_sleep(30)")
    assert is_transient(ended.value)
    await attempt(brief, "SELECT 1")


async def test_reads_of_whole_tables_may_take_longer(brief):
    """A transaction without limit outlasts it, and the next one on its connection has the limit again."""
    async with brief.transaction(limited=False) as tx:
        await tx.execute(text("SELECT pg_sleep(2.2)"))
        limit = (await tx.execute(text("SHOW transaction_timeout"))).scalar_one()
    async with brief.transaction() as tx:
        assert (limit, (await tx.execute(text("SHOW transaction_timeout"))).scalar_one()) == ("0", "2s")


@pytest.fixture
async def guarded(db, owner, tmp_path):
    """A table with a state machine and a table of facts, made as a service's migration makes them."""
    config = Config()
    config.attributes["runtime_role"] = db.engine.url.username

    def create(connection) -> None:
        environment = EnvironmentContext(config, ScriptDirectory(str(tmp_path)))
        op = Operations(MigrationContext.configure(connection, environment_context=environment))
        op.execute("CREATE TABLE things (id int PRIMARY KEY, state text, note text)")
        guard_transitions(
            op, table="things", allowed=[("new", "done"), ("done", "new")], start=["new", "old"]
        )
        op.execute("CREATE TABLE facts (id int)")
        append_only(op, "facts")

    async with owner.transaction() as tx:
        await tx.run_sync(create)
    return db


async def attempt(db, *statements: str) -> None:
    async with db.transaction() as tx:
        for statement in statements:
            await tx.execute(text(statement))


async def test_a_state_moves_along_its_edges(guarded):
    """Inserts in a first state, moves along an edge and changes of other columns are accepted."""
    await attempt(
        guarded,
        "INSERT INTO things VALUES (1, 'new'), (2, 'old'), (3, 'new')",
        "UPDATE things SET state = 'done' WHERE state = 'new'",
        "UPDATE things SET state = state, note = 'x'",
        "UPDATE things SET state = 'new' WHERE id = 1",
        "DELETE FROM things WHERE id = 2",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO things VALUES (7, 'done')",
        "INSERT INTO things VALUES (7, 'new'), (8, 'old'), (9, 'done')",
        "INSERT INTO things VALUES (7, '')",
        "INSERT INTO things VALUES (7, NULL)",
        "INSERT INTO things SELECT n, 'nonsense' FROM generate_series(7, 99) n",
        "UPDATE things SET state = 'old' WHERE id = 1",
        "UPDATE things SET state = 'done' WHERE id = 2",
        "UPDATE things SET state = 'nonsense' WHERE id = 1",
        "UPDATE things SET state = NULL WHERE id = 1",
        "UPDATE things SET state = 'done'",
        "INSERT INTO things VALUES (2, 'new') ON CONFLICT (id) DO UPDATE SET state = 'done'",
    ],
)
async def test_a_state_moves_along_no_other_edge(guarded, statement):
    """The database refuses an insert in another state, a move without an edge, and an unknown state."""
    await attempt(guarded, "INSERT INTO things VALUES (1, 'new'), (2, 'old')")
    with pytest.raises(DBAPIError) as refused:
        await attempt(guarded, statement)
    assert sqlstate(refused.value) == "23514"
    async with guarded.transaction() as tx:
        rows = await tx.execute(text("SELECT id, state FROM things ORDER BY id"))
        assert [tuple(row) for row in rows] == [(1, "new"), (2, "old")]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO things_state_edges VALUES ('old', 'done')",
        "UPDATE things_state_edges SET to_state = 'old'",
        "DELETE FROM things_state_edges",
        "TRUNCATE things_state_edges",
        "UPDATE facts SET id = 2",
        "DELETE FROM facts",
        "TRUNCATE facts",
        "ALTER TABLE facts DISABLE TRIGGER USER",
        "DROP TRIGGER facts_append_only ON facts",
    ],
)
async def test_a_service_cannot_change_its_own_guards(guarded, statement):
    """The role that a service runs under has no right to edges, facts or triggers."""
    await attempt(guarded, "INSERT INTO facts VALUES (1)")
    with pytest.raises(DBAPIError) as refused:
        await attempt(guarded, statement)
    assert sqlstate(refused.value) == "42501"


@pytest.mark.parametrize(
    "statement",
    ["UPDATE facts SET id = 2", "DELETE FROM facts", "TRUNCATE facts", "DELETE FROM facts WHERE false"],
)
async def test_facts_are_for_ever_even_to_their_owner(guarded, owner, statement):
    """The trigger refuses what privileges cannot: the owner's own changes."""
    await attempt(guarded, "INSERT INTO facts VALUES (1)")
    with pytest.raises(DBAPIError, match="append-only"):
        await attempt(owner, statement)


async def copied(tx, *rows: tuple[str, str]) -> None:
    await copy_rows(tx, table="effects", columns=["event_id", "note"], rows=rows)


async def test_copied_rows_belong_to_the_transaction(db):
    """Rows that were copied are there for the next statement, and gone with a rollback."""
    with pytest.raises(RuntimeError, match="enough"):
        async with db.transaction() as tx:
            await tx.execute(text("SELECT 1"))
            await copied(tx, ("x", "a"), ("y", "b"))
            assert (await tx.execute(text("SELECT count(*) FROM effects"))).scalar_one() == 2
            raise RuntimeError("enough")
    assert await count(db) == 0


async def test_rows_that_are_copied_first_belong_to_the_transaction_too(db):
    """A COPY before any other statement is rolled back like others; without a transaction it is refused."""
    with pytest.raises(RuntimeError, match="enough"):
        async with db.transaction() as tx:
            await copied(tx, ("x", "a"))
            raise RuntimeError("enough")
    async with db.engine.connect() as connection:
        with pytest.raises(TypeError):
            await copied(connection, ("x", "a"))
    assert await count(db) == 0


async def test_a_refused_copy_has_its_sqlstate(db, owner):
    """What the database says to a COPY is read as what it says to any statement."""
    async with owner.transaction() as tx:
        await tx.execute(text("CREATE UNIQUE INDEX once ON effects (event_id)"))
    with pytest.raises(DBAPIError) as refused:
        async with db.transaction() as tx:
            await tx.execute(text("SELECT 1"))
            await copied(tx, ("x", "a"), ("x", "b"))
    assert sqlstate(refused.value) == "23505"
    assert await count(db) == 0


async def test_a_temporary_table_does_not_replace_the_edges(guarded, owner):
    """A guard reads the schema's table of edges, not one of the same name that a session has made."""
    await attempt(guarded, "INSERT INTO things VALUES (2, 'old')")
    shadow = "CREATE TEMPORARY TABLE things_state_edges AS VALUES ('', 'done'), ('old', 'done')"
    named = "ALTER TABLE pg_temp.things_state_edges RENAME COLUMN column{} TO {}_state"
    shadowed = (shadow, named.format(1, "from"), named.format(2, "to"))
    for statement in (
        "INSERT INTO things VALUES (7, 'done')",
        "UPDATE things SET state = 'done' WHERE id = 2",
    ):
        with pytest.raises(DBAPIError) as refused:
            await attempt(owner, *shadowed, statement)
        assert sqlstate(refused.value) == "23514"


async def test_a_function_of_a_former_migration_learns_where_to_look(db, owner):
    """``fix_search_path`` names the path, ``pg_temp`` last, and keeps what else was set."""

    def fix(connection) -> None:
        op = Operations(MigrationContext.configure(connection))
        op.execute(
            "CREATE FUNCTION look(n int) RETURNS int LANGUAGE sql SET enable_seqscan = off AS 'SELECT 1'"
        )
        fix_search_path(op, "look(int)")

    async with owner.transaction() as tx:
        await tx.run_sync(fix)
        found = await tx.execute(text("SELECT proconfig FROM pg_proc WHERE proname = 'look'"))
        assert found.scalar_one() == ["enable_seqscan=off", "search_path=pg_catalog, public, pg_temp"]


async def test_errors_do_not_repeat_the_input(db):
    """A failing statement's error, which is logged and shown to people, holds none of its parameters."""
    with pytest.raises(Exception, match="syntax error") as raised:
        async with db.transaction() as tx:
            await tx.execute(text("SELEKT :detail"), {"detail": "sealed-detail"})
    assert "sealed-detail" not in repr(raised.value)
    assert "sealed-detail" not in str(raised.value)
