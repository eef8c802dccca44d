"""The requirements of every ``RailStore``, as tests to inherit.

    class TestMyStore(StoreConformance):
        async def make_stores(self) -> tuple[RailStore, RailStore]:
            return ...

Run with pytest and pytest-asyncio in auto mode.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from prizewire_railkit.store import RailRow, RailRowConflict, RailRows, RailStore

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class StoreConformance:
    """The test cases."""

    async def make_stores(self) -> tuple[RailStore, RailStore]:
        """Stores of two rails over one new database; called once for each test."""
        raise AssertionError("a store's test class must define make_stores")

    async def make_payout(self) -> UUID:
        """The id of a payout that rows may name; a store whose database checks it creates the payout."""
        return uuid4()

    async def test_a_written_row_is_read_again(self) -> None:
        """A row keeps its state, document, details, payout and time, and gets version 1."""
        store, _ = await self.make_stores()
        row = _row("a", payout_id=await self.make_payout(), details={"iban": "DE02", "name": "Zoë ✓"})
        await _write(store, row)
        async with store.begin() as rows:
            assert await rows.lock("lines", ["a"]) == {"a": replace(row, version=1)}
            assert await rows.page("lines") == [replace(row, version=1)]

    async def test_absent_details_stay_absent(self) -> None:
        """A row without details has none when it is read, and empty details stay empty."""
        store, _ = await self.make_stores()
        await _write(store, _row("a"), _row("b", details={}))
        async with store.begin() as rows:
            found = await rows.lock("lines", ["a", "b"])
        assert found["a"].details is None
        assert found["b"].details == {}

    async def test_an_update_adds_one_to_the_version(self) -> None:
        """An update replaces every field, details included, and adds one to the version."""
        store, _ = await self.make_stores()
        payout = await self.make_payout()
        await _write(store, _row("a", payout_id=payout, details={"iban": "DE02"}))
        changed = RailRow(
            collection="lines",
            name="a",
            state="closed",
            document={"n": 2},
            changed_at=NOW + timedelta(hours=1),
            payout_id=payout,
            version=1,
        )
        await _write(store, changed)
        async with store.begin() as rows:
            assert (await rows.lock("lines", ["a"]))["a"] == replace(changed, version=2)

    async def test_a_transaction_reads_its_own_writes(self) -> None:
        """A row is visible to its transaction at once, and may be updated again there."""
        store, _ = await self.make_stores()
        async with store.begin() as rows:
            await rows.write([_row("a")])
            own = (await rows.lock("lines", ["a"]))["a"]
            assert own.version == 1
            await rows.write([replace(own, state="closed")])
            assert [row.state for row in await rows.page("lines")] == ["closed"]
        async with store.begin() as rows:
            assert (await rows.lock("lines", ["a"]))["a"].version == 2

    async def test_a_block_that_raises_keeps_nothing(self) -> None:
        """A transaction whose block raises is rolled back, and the error is passed on."""
        store, _ = await self.make_stores()
        await _write(store, _row("a"))
        passed_on = False
        try:
            await _write_and_stop(store)
        except _Stopped:
            passed_on = True
        assert passed_on
        async with store.begin() as rows:
            assert [(row.name, row.state, row.version) for row in await rows.page("lines")] == [
                ("a", "open", 1)
            ]

    async def test_others_do_not_see_an_open_transaction(self) -> None:
        """A row is visible to other transactions only after the commit."""
        store, _ = await self.make_stores()
        async with store.begin() as rows:
            await rows.write([_row("a")])
            async with store.begin() as other:
                assert await other.page("lines") == []
                assert await other.lock("lines", ["a"]) == {}

    async def test_a_second_insert_is_a_conflict(self) -> None:
        """A row that exists is not inserted again, and the conflict undoes the other writes of its transaction."""
        store, _ = await self.make_stores()
        await _write(store, _row("a"))
        assert await _conflicts(store, _row("0"), _row("a", state="other"), _row("z"))
        async with store.begin() as rows:
            assert [(row.name, row.state) for row in await rows.page("lines")] == [("a", "open")]

    async def test_a_stale_version_is_a_conflict(self) -> None:
        """An update of a version that is not the stored one is refused, and so is one of a row that does not exist."""
        store, _ = await self.make_stores()
        await _write(store, _row("a"))
        await _write(store, replace(_row("a"), version=1, state="closed"))
        assert await _conflicts(store, replace(_row("a"), version=1, state="late"))
        assert await _conflicts(store, replace(_row("missing"), version=1))
        async with store.begin() as rows:
            assert [(row.name, row.state) for row in await rows.page("lines")] == [("a", "closed")]

    async def test_concurrent_inserts_store_one_row(self) -> None:
        """Of two transactions that insert one name at the same time, one commits and the other has a conflict."""
        store, _ = await self.make_stores()
        found = await asyncio.gather(
            _conflicts(store, _row("a", state="one")), _conflicts(store, _row("a", state="two"))
        )
        assert sorted(found) == [False, True]
        async with store.begin() as rows:
            assert len(await rows.page("lines")) == 1

    async def test_a_locked_row_waits_for_the_commit(self) -> None:
        """A second lock waits for the end of the first transaction, and reads what it wrote: no update is lost."""
        store, _ = await self.make_stores()
        await _write(store, _row("a", number=0))

        async def add() -> None:
            async with store.begin() as rows:
                row = (await rows.lock("lines", ["a"]))["a"]
                await asyncio.sleep(0)
                await rows.write([replace(row, document={"n": row.document["n"] + 1})])

        await asyncio.gather(*(add() for _ in range(4)))
        async with store.begin() as rows:
            assert (await rows.lock("lines", ["a"]))["a"].document == {"n": 4}

    async def test_locks_in_any_order_of_names_do_not_block_each_other(self) -> None:
        """Two transactions that name the same rows in opposite order both commit."""
        store, _ = await self.make_stores()
        await _write(store, *(_row(name, number=0) for name in "abcd"))

        async def add(names: str) -> None:
            async with store.begin() as rows:
                found = await rows.lock("lines", list(names))
                await rows.write(
                    [replace(found[name], document={"n": found[name].document["n"] + 1}) for name in names]
                )

        async with asyncio.timeout(600):
            await asyncio.gather(*(add(names) for names in ("abcd", "dcba", "cadb", "bdac")))
        async with store.begin() as rows:
            assert [row.document["n"] for row in await rows.page("lines")] == [4, 4, 4, 4]

    async def test_lock_leaves_unknown_names_out(self) -> None:
        """Names without a row are left out, and a repeated name is returned once."""
        store, _ = await self.make_stores()
        await _write(store, _row("a"))
        async with store.begin() as rows:
            assert list(await rows.lock("lines", ["b", "a", "a"])) == ["a"]
            assert await rows.lock("batches", ["a"]) == {}
            assert await rows.lock("lines", []) == {}

    async def test_pages_follow_each_other_in_the_order_of_names(self) -> None:
        """Pages are ordered by the code points of the names, whatever the language of the database."""
        store, _ = await self.make_stores()
        names = ["B", "a", "a-1", "a1", "b", "Ä", "_"]
        await _write(store, *(_row(name) for name in names))
        seen: list[str] = []
        async with store.begin() as rows:
            while page := await rows.page("lines", after=seen[-1] if seen else None, limit=2):
                assert len(page) <= 2
                seen += [row.name for row in page]
        assert seen == sorted(names)

    async def test_pages_are_filtered_by_state_and_payout(self) -> None:
        """A page holds only rows of the states and of the payouts that are asked for, in both filters together."""
        store, _ = await self.make_stores()
        one, two = await self.make_payout(), await self.make_payout()
        await _write(
            store,
            _row("a", payout_id=one),
            _row("b", state="closed", payout_id=one),
            _row("c", payout_id=two),
            _row("d"),
        )
        async with store.begin() as rows:
            assert await _names(rows, states=["open"]) == ["a", "c", "d"]
            assert await _names(rows, states=["open", "closed"]) == ["a", "b", "c", "d"]
            assert await _names(rows, payout_ids=[one]) == ["a", "b"]
            assert await _names(rows, states=["closed"], payout_ids=[one, two]) == ["b"]
            assert await _names(rows, states=["gone"]) == []

    async def test_rails_do_not_see_each_other(self) -> None:
        """A row belongs to one rail: another rail neither reads nor changes it, and may use its name."""
        store, other = await self.make_stores()
        await _write(store, _row("a", state="mine"))
        async with other.begin() as rows:
            assert await rows.page("lines") == []
            assert await rows.lock("lines", ["a"]) == {}
        assert await _conflicts(other, replace(_row("a"), version=1, state="changed"))
        await _write(other, _row("a", state="other"))
        async with store.begin() as rows:
            assert (await rows.lock("lines", ["a"]))["a"].state == "mine"

    async def test_collections_are_apart(self) -> None:
        """One name in two collections is two rows."""
        store, _ = await self.make_stores()
        await _write(store, _row("a"), replace(_row("a"), collection="batches", state="made"))
        async with store.begin() as rows:
            assert [row.state for row in await rows.page("lines")] == ["open"]
            assert [row.state for row in await rows.page("batches")] == ["made"]

    async def test_no_repr_shows_details(self) -> None:
        """Details appear in no repr of a row, of a store or of its rows."""
        store, _ = await self.make_stores()
        await _write(store, _row("a", details={"iban": "DE0212030000"}))
        async with store.begin() as rows:
            shown = f"{store!r} {rows!r} {await rows.page('lines')!r} {await rows.lock('lines', ['a'])!r}"
        assert "DE0212030000" not in shown


class _Stopped(Exception):
    """Raised inside a transaction by a test."""


def _row(
    name: str,
    *,
    state: str = "open",
    number: int = 1,
    payout_id: UUID | None = None,
    details: dict[str, str] | None = None,
) -> RailRow:
    return RailRow(
        collection="lines",
        name=name,
        state=state,
        document={"n": number},
        changed_at=NOW,
        payout_id=payout_id,
        details=details,
    )


async def _write_and_stop(store: RailStore) -> None:
    async with store.begin() as rows:
        await rows.write([replace((await rows.lock("lines", ["a"]))["a"], state="closed"), _row("b")])
        raise _Stopped


async def _write(store: RailStore, *rows: RailRow) -> None:
    async with store.begin() as transaction:
        await transaction.write(rows)


async def _conflicts(store: RailStore, *rows: RailRow) -> bool:
    """Write rows in one transaction; whether it had a conflict."""
    try:
        async with store.begin() as transaction:
            await transaction.write(rows)
            await asyncio.sleep(0)
    except RailRowConflict:
        return True
    return False


async def _names(
    rows: RailRows, *, states: list[str] | None = None, payout_ids: list[UUID] | None = None
) -> list[str]:
    found = await rows.page("lines", states=states or (), payout_ids=payout_ids or ())
    return [row.name for row in found]
