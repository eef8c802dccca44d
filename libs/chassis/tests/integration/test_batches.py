"""Batches of rows: one that fails alone is left out for a while, and no result of the others is lost."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from prizewire_chassis.batches import POSTPONED_FIRST, POSTPONED_MAX, Batches, batch_of
from prizewire_chassis.clock import ManualClock
from prizewire_chassis.metrics import ROWS_POSTPONED

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = text(
    "SELECT note FROM effects WHERE note <> ALL(CAST(:without AS text[])) ORDER BY n "
    "LIMIT :limit FOR UPDATE SKIP LOCKED"
)
DONE = text("DELETE FROM effects WHERE note = ANY(CAST(:notes AS text[]))")


class Worker:
    """Handles at most five rows in one transaction, and fails on those in ``bad``."""

    def __init__(self, db) -> None:
        self.db = db
        self.clock = ManualClock(START)
        self.batches = Batches("test", db=db, clock=self.clock)
        self.bad: dict[str, Exception] = {}
        self.tried: list[list[str]] = []

    async def add(self, *notes: str) -> None:
        async with self.db.transaction() as tx:
            await tx.execute(
                text("INSERT INTO effects (note) SELECT unnest(CAST(:notes AS text[]))"),
                {"notes": list(notes)},
            )

    async def run(self) -> list[list[str]]:
        self.tried.clear()
        return await self.batches.run(self._work)

    async def _work(self, tx) -> list[str]:
        batch = batch_of(tx)
        values = {"without": batch.without, "limit": batch.limit(5)}
        if batch.alone:
            notes = await batch.claim(tx, ROWS, values)
        else:
            notes = list((await tx.execute(ROWS, values)).scalars())
        self.tried.append(notes)
        for note in notes:
            if note in self.bad:
                raise self.bad[note]
        await tx.execute(DONE, {"notes": notes})
        return notes


@pytest.fixture
def worker(db) -> Worker:
    return Worker(db)


def postponed() -> float:
    return ROWS_POSTPONED.labels("test")._value.get()


async def test_rows_go_together_while_none_fails(worker):
    """One transaction, one result, nothing postponed."""
    await worker.add("a", "b")
    assert await worker.run() == [["a", "b"]]
    assert worker.tried == [["a", "b"]]
    assert postponed() == 0


async def test_a_row_that_fails_alone_is_left_out_and_the_others_are_done(worker):
    """It stays as it was, is counted, and is tried again later, after twice the time each time."""
    await worker.add("a", "bad", "c")
    worker.bad["bad"] = ValueError("unreadable")
    assert await worker.run() == [["a"], ["c"], []]
    assert postponed() == 1
    assert await worker.run() == [[]]
    wait = POSTPONED_FIRST
    for _ in range(8):
        worker.clock.advance(wait - timedelta(seconds=1))
        assert await worker.run() == [[]]
        worker.clock.advance(timedelta(seconds=1))
        assert await worker.run() == [[]]
        assert worker.tried == [["bad"], ["bad"], []]
        wait = min(2 * wait, POSTPONED_MAX)
    worker.bad.clear()
    worker.clock.advance(POSTPONED_MAX)
    assert await worker.run() == [["bad"]]
    worker.clock.advance(POSTPONED_MAX)
    assert await worker.run() == [[]]
    assert postponed() == 0


async def test_no_more_rows_are_claimed_one_by_one_than_together(worker):
    """A worker that has room for five gets five."""
    await worker.add(*"abcdefgh")
    worker.bad["a"] = ValueError("unreadable")
    assert await worker.run() == [["b"], ["c"], ["d"], ["e"]]


async def test_a_transient_error_postpones_nothing(worker):
    """The job is tried again as a whole."""
    await worker.add("a", "b")
    worker.bad["b"] = OSError("unavailable")
    with pytest.raises(OSError, match="unavailable"):
        await worker.run()
    assert worker.tried == [["a", "b"]]
    assert postponed() == 0


async def test_what_is_committed_is_returned_before_a_transient_error(worker):
    """The caller acts on it: a call to a rail, for example."""
    await worker.add("bad", "b", "c")
    worker.bad |= {"bad": ValueError("unreadable"), "c": OSError("unavailable")}
    assert await worker.run() == [["b"]]
    assert postponed() == 1


async def test_an_error_before_a_row_is_claimed_is_raised(worker):
    """It is none of a row."""

    async def broken(tx) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await worker.batches.run(broken)

    async def broken_after_limit(tx) -> None:
        batch_of(tx).limit(5)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await worker.batches.run(broken_after_limit)


async def test_other_transactions_leave_nothing_out(worker):
    """Outside ``Batches``, and after them on the same connection."""
    await worker.add("bad")
    worker.bad["bad"] = ValueError("unreadable")
    await worker.run()
    async with worker.db.transaction() as tx:
        assert batch_of(tx).without == []
        assert batch_of(tx).limit(7) == 7
