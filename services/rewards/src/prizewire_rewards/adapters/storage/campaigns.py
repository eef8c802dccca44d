"""Campaigns over PostgreSQL. What a pool holds is the ledger's balance, read under the campaign's lock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.adapters.storage.ledger import account_id
from prizewire_rewards.domain.ledger import Account, Kind
from prizewire_rewards.domain.model import Campaign, Delivery
from prizewire_rewards.domain.states import CampaignState

__all__ = ["SqlCampaigns", "campaign_of"]


def campaign_of(row: Any, *, available: int) -> Campaign:
    """A row with what its pool holds."""
    return Campaign(
        id=row.id,
        name=row.name,
        asset=row.asset,
        delivery=Delivery(row.delivery),
        state=CampaignState(row.state),
        funded=row.funded,
        granted=row.granted,
        available=available,
        queued=row.queued,
        queue_tail=row.queue_tail,
        version=row.version,
    )


class SqlCampaigns:
    """Campaigns in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """Those that exist, locked in the order of their ids."""
        keys = sorted(set(ids))
        if not keys:
            return {}
        rows = (await self._tx.execute(_LOCK, {"ids": keys})).all()
        # A statement of its own: it must see what the holders of the locks committed.
        pools = await self._tx.execute(_POOLS, {"ids": [row.pool for row in rows]})
        balances = {row.id: row.balance for row in pools}
        return {row.id: campaign_of(row, available=balances.get(row.pool, 0)) for row in rows}

    async def load(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """Those that exist, as they are, without a lock."""
        rows = await self._tx.execute(_LOAD, {"ids": sorted(set(ids))})
        return {row.id: campaign_of(row, available=row.available) for row in rows}

    async def add(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        """Store a new campaign."""
        pool = account_id(Account(Kind.POOL, str(campaign.id), campaign.asset))
        await self._tx.execute(
            _ADD,
            {
                "id": campaign.id,
                "name": campaign.name,
                "asset": campaign.asset,
                "delivery": campaign.delivery,
                "state": campaign.state,
                "funded": campaign.funded,
                "granted": campaign.granted,
                "queued": campaign.queued,
                "queue_tail": campaign.queue_tail,
                "version": campaign.version,
                "pool": pool,
                "actor": actor,
                "now": now,
            },
        )

    async def save(self, campaigns: Sequence[Campaign]) -> None:
        """Store state and counters of locked campaigns."""
        await self._tx.execute(
            _SAVE,
            {
                "ids": [campaign.id for campaign in campaigns],
                "states": [campaign.state for campaign in campaigns],
                "fundeds": [campaign.funded for campaign in campaigns],
                "granteds": [campaign.granted for campaign in campaigns],
                "queueds": [campaign.queued for campaign in campaigns],
                "queue_tails": [campaign.queue_tail for campaign in campaigns],
                "versions": [campaign.version for campaign in campaigns],
            },
        )

    async def take_back(self, amounts: Mapping[UUID, int]) -> None:
        """Count amounts that came back to pools as granted no more, on top of what others count meanwhile."""
        keys = sorted(amounts)
        await self._tx.execute(_TAKE_BACK, {"ids": keys, "amounts": [amounts[key] for key in keys]})

    async def next_with_queue(self) -> UUID | None:
        """A campaign whose longest-waiting round its pool covers."""
        found: UUID | None = (await self._tx.execute(_NEXT)).scalar_one_or_none()
        return found


_LOCK = text("SELECT * FROM campaigns WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
_POOLS = text("SELECT id, balance FROM ledger_accounts WHERE id = ANY (CAST(:ids AS uuid[]))")
_LOAD = text(
    "SELECT c.*, coalesce(a.balance, 0) AS available FROM campaigns c LEFT JOIN ledger_accounts a ON a.id = c.pool "
    "WHERE c.id = ANY (CAST(:ids AS uuid[]))"
)
_ADD = text(
    "INSERT INTO campaigns (id, name, asset, delivery, state, funded, granted, queued, queue_tail, version, pool, "
    "created_by, created_at) VALUES (:id, :name, :asset, :delivery, :state, :funded, :granted, :queued, "
    ":queue_tail, :version, :pool, :actor, :now)"
)
_SAVE = text(
    "UPDATE campaigns c SET state = u.state, funded = u.funded, granted = u.granted, queued = u.queued, "
    "queue_tail = u.queue_tail, version = u.version "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:fundeds AS bigint[]), "
    "CAST(:granteds AS bigint[]), CAST(:queueds AS int[]), CAST(:queue_tails AS bigint[]), "
    "CAST(:versions AS int[])) AS u(id, state, funded, granted, queued, queue_tail, version) WHERE c.id = u.id"
)
_TAKE_BACK = text(
    "UPDATE campaigns c SET granted = c.granted - u.amount "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:amounts AS bigint[])) AS u(id, amount) WHERE c.id = u.id"
)
# Who waits first goes first: while work on that round is under way, or its pool is short of it, all others wait.
_NEXT = text(
    "SELECT c.id FROM campaigns c JOIN ledger_accounts a ON a.id = c.pool "
    "CROSS JOIN LATERAL (SELECT r.id, r.state, CASE r.state WHEN 'unfunded' THEN r.gross ELSE r.short END AS wanted "
    "FROM rounds r WHERE r.campaign = c.id AND r.queue_position IS NOT NULL "
    "ORDER BY r.queue_position LIMIT 1) head "
    "WHERE c.queued > 0 AND c.state IN ('active', 'exhausted', 'ended') AND a.balance >= head.wanted "
    "AND head.state <> 'booking' AND NOT EXISTS (SELECT 1 FROM round_work w WHERE w.round_id = head.id) "
    "ORDER BY c.id LIMIT 1"
)
