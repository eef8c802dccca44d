"""The assets of a service. Their decimals never change after the first amount was stored."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.db import Database
from prizewire_chassis.db.database import sqlstate
from prizewire_chassis.settings import ConfigurationError, NotMigrated, load_assets
from prizewire_money import AssetRegistry, MoneyError


def amount_sql(amount: str, asset: str) -> str:
    """SQL of an amount for people, such as ``229.43 USDC``, from SQL of its minor units and of its asset's code.
    An asset that the database does not know has minor units only.
    """
    return (
        f"coalesce((SELECT CAST({amount} AS numeric) * CAST('1e-' || k.decimals AS numeric) || ' ' || k.code "  # noqa: S608 - our own columns
        f"FROM assets k WHERE k.code = {asset}), {amount} || ' minor units of ' || {asset})"
    )


def read_assets(path: Path) -> AssetRegistry:
    """The assets that a file names.

    Raises:
        ConfigurationError: the file is missing or malformed.
    """
    try:
        return load_assets(path)
    except (OSError, ValueError, MoneyError) as error:
        raise ConfigurationError(f"ASSETS_FILE {path.name}: {error}") from None


def store_assets(connection: Connection, *, path: Path) -> None:
    """Copy the assets that are new into the database, where they stay as they are: as its owner, with the migrations.
    The service itself may not add one.

    Raises:
        ConfigurationError: see ``read_assets`` and ``check_assets``.
    """
    assets = read_assets(path)
    connection.execute(
        _ADD,
        {
            "codes": list(assets),
            "decimals": [asset.decimals for asset in assets.values()],
            "redeemables": [asset.redeemable for asset in assets.values()],
        },
    )
    _compare(assets, connection.execute(_PINNED), file=path.name)


async def check_assets(database: Database, assets: AssetRegistry, *, file: str) -> None:
    """Hold the assets of a file, which is named ``file``, against those that migrations stored.

    Raises:
        ConfigurationError: the file changes an asset that the database knows, no longer names it, or names one that the
            database does not know.
        NotMigrated: the database has no tables yet.
        DBAPIError: the database is unavailable.
    """
    try:
        async with database.transaction() as tx:
            _compare(assets, await tx.execute(_PINNED), file=file)
    except DBAPIError as error:
        if sqlstate(error) != _NO_SUCH_TABLE:
            raise
        raise NotMigrated("it has no tables yet: run the command `migrate`") from None


def _compare(assets: AssetRegistry, stored: Iterable[Any], *, file: str) -> None:
    known = set()
    for row in stored:
        known.add(row.code)
        asset = assets.get(row.code)
        if asset is None:
            raise ConfigurationError(f"{file} no longer names {row.code}, which the database knows")
        if (asset.decimals, asset.redeemable) != (row.decimals, row.redeemable):
            raise ConfigurationError(
                f"{file} changed {row.code}: in the database it has {row.decimals} decimals and redeemable "
                f"{str(row.redeemable).lower()}; amounts are stored in these, so it needs a new code"
            )
    if new := sorted(assets.keys() - known):
        raise ConfigurationError(
            f"{file} names {', '.join(new)}, which the database does not know: run the command `migrate`, which "
            "stores new assets"
        )


_NO_SUCH_TABLE = "42P01"
_ADD = text(
    "INSERT INTO assets (code, decimals, redeemable) SELECT * FROM unnest(CAST(:codes AS text[]), "
    "CAST(:decimals AS int[]), CAST(:redeemables AS boolean[])) ON CONFLICT DO NOTHING"
)
_PINNED = text("SELECT code, decimals, redeemable FROM assets ORDER BY code")
