"""An asset keeps its decimals: what is stored in its smallest unit must not change its worth."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.assets import check_assets, read_assets, store_assets
from prizewire_chassis.db.database import sqlstate
from prizewire_chassis.lifecycle import ConfigurationError

EURC = "EURC: {decimals: 2, redeemable: true}"
SEASON = "SEASON: {decimals: 0, redeemable: false}"


@pytest.fixture
def serve(db, tmp_path: Path):
    """Begins a service with these lines in its assets file."""

    async def begin(*lines: str):
        path = tmp_path / "assets.yaml"
        path.write_text("\n".join(["assets:", *(f"  {line}" for line in lines)]))
        assets = read_assets(path)
        await check_assets(db, assets, file=path.name)
        return assets

    return begin


@pytest.fixture
def start(owner, serve, tmp_path: Path):
    """Migrates as the owner with these lines in the assets file, and begins the service."""

    async def begin(*lines: str):
        path = tmp_path / "assets.yaml"
        path.write_text("\n".join(["assets:", *(f"  {line}" for line in lines)]))
        async with owner.transaction() as tx:
            await tx.run_sync(lambda connection: store_assets(connection, path=path))
        return await serve(*lines)

    return begin


async def test_assets_are_copied_once_and_may_be_added_to(db, start):
    """The first start stores them, a later one adds what is new, and the file is what the service gets."""
    assert list(await start(EURC)) == ["EURC"]
    assert list(await start(SEASON, EURC)) == ["EURC", "SEASON"]
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT * FROM assets ORDER BY code"))
        assert [tuple(row) for row in rows] == [("EURC", 2, True), ("SEASON", 0, False)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["EURC: {decimals: 3, redeemable: true}"], "changed EURC: in the database it has 2 decimals"),
        (["EURC: {decimals: 2, redeemable: false}"], "redeemable true"),
        ([SEASON], "no longer names EURC"),
        (["EURC: {decimals: 99, redeemable: true}"], "EURC has decimals 99"),
        (["EURC: 2"], "EURC"),
    ],
    ids=["decimals", "redeemable", "gone", "out of range", "malformed"],
)
async def test_changed_assets_refuse_the_start(db, start, changed, said):
    """The sentence names the file and the asset, and the database keeps what it knew."""
    await start(EURC)
    with pytest.raises(ConfigurationError, match=rf"assets\.yaml.*{said}"):
        await start(*changed)
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT code, decimals FROM assets"))).all() == [("EURC", 2)]


async def test_a_service_adds_no_asset(db, start, serve):
    """A new asset comes with a migration alone: the service says what to do, and its role may not store it."""
    await start(EURC)
    with pytest.raises(
        ConfigurationError, match="names SEASON, which the database does not know: run the command"
    ):
        await serve(SEASON, EURC)
    with pytest.raises(DBAPIError) as refused:
        async with db.transaction() as tx:
            await tx.execute(text("INSERT INTO assets VALUES ('GOLD', 0, true)"))
    assert sqlstate(refused.value) == "42501"


def test_a_missing_file_refuses_the_start(tmp_path):
    """It is a sentence for the operator, not a stack trace."""
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        read_assets(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "statement", ["UPDATE assets SET decimals = 3", "DELETE FROM assets", "TRUNCATE assets"]
)
async def test_the_table_refuses_changes(db, owner, start, statement):
    """Neither the service nor the owner of the tables changes or removes an asset in passing."""
    await start(EURC)
    for database, states in ((db, {"23000", "42501"}), (owner, {"23000"})):
        with pytest.raises(DBAPIError) as refused:
            async with database.transaction() as tx:
                await tx.execute(text(statement))
        assert sqlstate(refused.value) in states
