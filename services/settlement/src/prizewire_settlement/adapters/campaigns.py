"""What is known of rewards' campaigns, in PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_settlement.domain.model import Campaign, CampaignState


class PostgresCampaigns:
    """The port ``Campaigns`` over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def campaign(self, campaign_id: UUID) -> Campaign | None:
        """See the port."""
        row = (await self._tx.execute(_ONE, {"id": campaign_id})).one_or_none()
        if row is None:
            return None
        return Campaign(id=row.id, asset=row.asset, state=CampaignState(row.state), version=row.version)

    async def keep(self, campaigns: Sequence[Campaign]) -> None:
        """See the port."""
        ordered = sorted(campaigns, key=lambda one: one.id)
        await self._tx.execute(
            _KEEP,
            {
                "ids": [one.id for one in ordered],
                "assets": [one.asset for one in ordered],
                "states": [one.state.value for one in ordered],
                "versions": [one.version for one in ordered],
            },
        )


_ONE = text("SELECT id, asset, state, version FROM campaigns WHERE id = :id")
_KEEP = text(
    "INSERT INTO campaigns (id, asset, state, version) SELECT * FROM unnest(CAST(:ids AS uuid[]), "
    "CAST(:assets AS text[]), CAST(:states AS text[]), CAST(:versions AS int[])) "
    "ON CONFLICT (id) DO UPDATE SET state = excluded.state, version = excluded.version "
    "WHERE campaigns.version < excluded.version"
)
