"""The assets that a service counts in, held to what they were when its first amount was written."""

from sqlalchemy import text

from prizewire_chassis.lifecycle import ConfigurationError, Runtime
from prizewire_chassis.settings import load_assets
from prizewire_money import AssetRegistry, MoneyError

__all__ = ["pinned_assets"]


async def pinned_assets(runtime: Runtime) -> AssetRegistry:
    """The assets of ASSETS_FILE. Those that are new are copied into the database, where they stay as they are; the others
    are held against it.

    Raises:
        ConfigurationError: the file is missing or malformed, changes an asset that an earlier start knew, or no longer
            names it.
    """
    path = runtime.settings.assets_file
    try:
        assets = load_assets(path)
    except (OSError, ValueError, MoneyError) as error:
        raise ConfigurationError(f"{path.name}: {error}") from None
    async with runtime.db.transaction() as tx:
        await tx.execute(
            _ADD,
            {
                "codes": list(assets),
                "decimals": [asset.decimals for asset in assets.values()],
                "redeemables": [asset.redeemable for asset in assets.values()],
            },
        )
        for row in (await tx.execute(_PINNED)).all():
            asset = assets.get(row.code)
            if asset is None:
                raise ConfigurationError(
                    f"{path.name} no longer names {row.code}, which an earlier start knew"
                )
            if (asset.decimals, asset.redeemable) != (row.decimals, row.redeemable):
                raise ConfigurationError(
                    f"{path.name} changed {row.code}: at an earlier start it had {row.decimals} decimals and redeemable "
                    f"{str(row.redeemable).lower()}; amounts are stored in these, so it needs a new code"
                )
    return assets


_ADD = text(
    "INSERT INTO assets (code, decimals, redeemable) SELECT * FROM unnest(CAST(:codes AS text[]), "
    "CAST(:decimals AS int[]), CAST(:redeemables AS boolean[])) ON CONFLICT DO NOTHING"
)
_PINNED = text("SELECT code, decimals, redeemable FROM assets ORDER BY code")
