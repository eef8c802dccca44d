"""The migrated database against the domain and the tables that queries see."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from prizewire_money import AssetRegistry
from prizewire_rewards.adapters.storage.ledger import AssetChanged, pin_assets
from prizewire_rewards.adapters.tables import metadata
from prizewire_rewards.domain.states import (
    CAMPAIGN_EDGES,
    CAMPAIGN_START,
    PAYOUT_EDGES,
    PAYOUT_START,
    REWARD_EDGES,
    ROUND_EDGES,
    ROUND_START,
)
from services.rewards.tests.rig import Rig

# What migrations make for triggers alone, and Alembic's own.
ONLY_IN_THE_DATABASE = {
    "alembic_version",
    "campaigns_state_edges",
    "payouts_state_edges",
    "rewards_state_edges",
    "rounds_state_edges",
}


async def test_the_database_holds_the_domains_transitions(rig: Rig) -> None:
    """What the migrated database enforces is what the domain says, births included."""
    domain = {
        "campaigns": {*CAMPAIGN_EDGES, *(("", state) for state in CAMPAIGN_START)},
        "rounds": {*ROUND_EDGES, *(("", state) for state in ROUND_START)},
        "payouts": {*PAYOUT_EDGES, *(("", state) for state in PAYOUT_START)},
        "rewards": {*REWARD_EDGES},
    }
    for table, edges in domain.items():
        rows = await rig.rows(f"SELECT from_state, to_state FROM {table}_state_edges")
        assert {(row["from_state"], row["to_state"]) for row in rows} == edges


async def test_the_migration_makes_the_tables_that_queries_see(rig: Rig) -> None:
    """Columns, types, keys and indexes of tables.py are those in the database."""
    engine = create_async_engine(rig.urls.migration.replace("postgresql://", "postgresql+asyncpg://"))

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda _, name, kind, *__: (
                    not (kind == "table" and name in ONLY_IN_THE_DATABASE)
                ),
            },
        )
        return list(compare_metadata(context, metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.parametrize(
    "definition", [{"decimals": 3, "redeemable": True}, {"decimals": 2, "redeemable": False}, None]
)
async def test_a_redefined_asset_refuses_the_start(rig: Rig, definition: dict[str, object] | None) -> None:
    """Changed decimals or redeemability, or a missing asset, would change what stored amounts mean."""
    definitions: dict[str, dict[str, object]] = {
        "USDC": {"decimals": 2, "redeemable": True},
        "XLM": {"decimals": 7, "redeemable": True},
        "SEASON": {"decimals": 0, "redeemable": False},
        "NEW": {"decimals": 4, "redeemable": True},
    }
    if definition is not None:
        definitions["EURC"] = definition
    with pytest.raises(AssetChanged, match="EURC"):
        async with rig.db.transaction() as tx:
            await pin_assets(tx, AssetRegistry.from_mapping(definitions))


async def test_a_new_asset_is_added_at_start(rig: Rig) -> None:
    """An asset that the ledger has not seen is copied into its table."""
    definitions = {
        "USDC": {"decimals": 2, "redeemable": True},
        "EURC": {"decimals": 2, "redeemable": True},
        "XLM": {"decimals": 7, "redeemable": True},
        "SEASON": {"decimals": 0, "redeemable": False},
        "NEW": {"decimals": 4, "redeemable": True},
    }
    async with rig.db.transaction() as tx:
        await pin_assets(tx, AssetRegistry.from_mapping(definitions))
    assert {"code": "NEW", "decimals": 4, "redeemable": True} in await rig.rows("SELECT * FROM ledger_assets")
