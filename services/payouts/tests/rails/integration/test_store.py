"""The rows of rails over PostgreSQL."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from prizewire_payouts.rails.storage import rail_rows, rail_store
from prizewire_railkit.store import RailRow, RailRowConflict, RailRowNotAuthentic, RailStore
from prizewire_railkit.testing import StoreConformance
from services.payouts.tests.rig import START, Rig

ROW = RailRow(
    collection="lines",
    name="a",
    state="open",
    document={"n": 1},
    changed_at=START,
    details={"iban": "DE02"},
)


class TestOverPostgres(StoreConformance):
    """The store passes the suite that every store passes."""

    @pytest.fixture(autouse=True)
    def take(self, rig: Rig) -> None:
        self.rig = rig

    async def make_stores(self) -> tuple[RailStore, RailStore]:
        one, two = (
            rail_store(db=self.rig.db, unit_of_work=self.rig.unit_of_work, rail=name)
            for name in ("one", "two")
        )
        return one, two

    async def make_payout(self) -> UUID:
        return await self.rig.request(await self.rig.method())


async def test_rows_change_within_a_transaction_of_payouts(rig: Rig) -> None:
    """Rows are written in the transaction that payouts has begun: a rollback takes them back."""

    async def write(name: str, *, fail: bool) -> None:
        async with rig.db.transaction() as tx:
            await rail_rows(rig.unit_of_work(tx), "bank").write([replace(ROW, name=name)])
            assert not fail

    with pytest.raises(AssertionError):
        await write("a", fail=True)
    await write("b", fail=False)
    assert [row.name for row in await rig.rows("SELECT name FROM rail_rows")] == ["b"]


async def test_a_caught_conflict_keeps_nothing(rig: Rig) -> None:
    """A provider that catches the conflict inside its block gets it again at the end, and nothing is written."""
    store = rail_store(db=rig.db, unit_of_work=rig.unit_of_work, rail="bank")
    async with store.begin() as rows:
        await rows.write([ROW])
    with pytest.raises(RailRowConflict):
        async with store.begin() as rows:
            await rows.write([replace(ROW, name="b")])
            with pytest.raises(RailRowConflict):
                await rows.write([ROW])
    assert [row.name for row in await rig.rows("SELECT name FROM rail_rows")] == ["a"]


async def test_details_are_sealed_and_bound_to_their_row(rig: Rig) -> None:
    """Details are encrypted at rest; moved to another row they are not read."""
    store = rail_store(db=rig.db, unit_of_work=rig.unit_of_work, rail="bank")
    async with store.begin() as rows:
        await rows.write([ROW, replace(ROW, name="b", details={"iban": "DE03"})])
    (stored, _) = await rig.rows("SELECT details FROM rail_rows ORDER BY name")
    assert b"DE02" not in bytes(stored.details)
    await rig.rows(
        "UPDATE rail_rows SET details = (SELECT details FROM rail_rows WHERE name = 'a') WHERE name = 'b' RETURNING 1"
    )
    with pytest.raises(RailRowNotAuthentic, match="the row lines/b of the rail bank was changed"):
        async with store.begin() as rows:
            await rows.lock("lines", ["b"])


async def test_a_row_of_no_payout_is_a_breach(rig: Rig) -> None:
    """A row that names a payout which there is not is found by the checks."""
    store = rail_store(db=rig.db, unit_of_work=rig.unit_of_work, rail="bank")
    async with store.begin() as rows:
        await rows.write([replace(ROW, payout_id=await rig.request(await rig.method()))])
    assert await rig.breaches() == []
    async with store.begin() as rows:
        await rows.write([replace(ROW, name="b", payout_id=uuid4())])
    assert await rig.breaches() == ["the row lines/b of the rail bank names a payout that there is not"]
