"""Campaigns over PostgreSQL. The amount in a pool is the ledger's balance, read under the lock of the campaign."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import batch_of
from prizewire_chassis.db import Read, Write, fetch, later
from prizewire_rewards.campaigns.domain.model import Campaign, CampaignState, Delivery
from prizewire_rewards.campaigns.domain.settings import (
    AtDeadline,
    CampaignSettings,
    Caps,
    ClaimSettings,
    RiskThresholds,
    Velocity,
)
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.storage.accounts import account_id
from prizewire_rewards.ledger.storage.receivables import parties_of


def campaign_of(row: Any, *, available: int) -> Campaign:
    """The campaign of a row, with the balance of its pool."""
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
        withdrawn=row.withdrawn,
        low=row.low,
        capped=row.capped,
        settings=settings_of(row.settings_json),
        settings_version=row.settings_version,
        parties=parties_of(row.parties_json),
    )


@lru_cache(maxsize=1024)
def settings_of(document: str) -> CampaignSettings:
    """The settings of a stored document. The same document is parsed once."""
    stored = orjson.loads(document)
    velocity = stored["risk"].pop("velocity")
    claim = stored["claim"]
    return CampaignSettings(
        low_water=stored["low_water"],
        caps=Caps(**stored["caps"]),
        claim=ClaimSettings(**{**claim, "at_deadline": AtDeadline(claim["at_deadline"])}),
        risk=RiskThresholds(velocity=None if velocity is None else Velocity(**velocity), **stored["risk"]),
    )


def _document(settings: CampaignSettings) -> str:
    return orjson.dumps(asdict(settings)).decode()


class SqlCampaigns:
    """Campaigns in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """The campaigns with these ids that exist, locked in the order of their ids."""
        keys = sorted(set(ids))
        if not keys:
            return {}
        rows = await fetch(self._tx, _LOCK, {"ids": keys})
        return {row.id: campaign_of(row, available=row.available) for row in rows}

    async def load(self, ids: Iterable[UUID]) -> dict[UUID, Campaign]:
        """The campaigns with these ids that exist, without a lock."""
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
                "granted": campaign.granted,
                "queued": campaign.queued,
                "queue_tail": campaign.queue_tail,
                "version": campaign.version,
                "settings": _document(campaign.settings),
                "settings_version": campaign.settings_version,
                "capped": campaign.capped,
                "pool": pool,
                "actor": actor,
                "now": now,
            },
        )

    async def save(self, campaigns: Sequence[Campaign]) -> None:
        """Store state and counters of locked campaigns. A trigger of the ledger counts ``funded`` and ``withdrawn``."""
        await later(
            self._tx,
            _SAVE,
            {
                "ids": [campaign.id for campaign in campaigns],
                "states": [campaign.state for campaign in campaigns],
                "granteds": [campaign.granted for campaign in campaigns],
                "queueds": [campaign.queued for campaign in campaigns],
                "queue_tails": [campaign.queue_tail for campaign in campaigns],
                "versions": [campaign.version for campaign in campaigns],
                "lows": [campaign.low for campaign in campaigns],
            },
        )

    async def take_back(self, amounts: Mapping[UUID, int]) -> None:
        """Subtract amounts that came back to pools from ``granted``. Concurrent changes are kept."""
        keys = sorted(amounts)
        await self._tx.execute(_TAKE_BACK, {"ids": keys, "amounts": [amounts[key] for key in keys]})

    async def keep_settings(self, campaign: Campaign, *, actor: str, now: datetime) -> None:
        """Store the settings of a campaign under their version."""
        values = {
            "id": campaign.id,
            "settings": _document(campaign.settings),
            "settings_version": campaign.settings_version,
            "capped": campaign.capped,
            "actor": actor,
            "now": now,
        }
        await self._tx.execute(_SET, values)
        await self._tx.execute(_KEEP, values)

    async def settings(self, campaign: UUID, versions: Iterable[int]) -> dict[int, CampaignSettings]:
        """See the port."""
        values = {"id": campaign, "versions": sorted(set(versions))}
        return {row.version: settings_of(row.document) for row in await self._tx.execute(_SETTINGS, values)}

    async def next_with_queue(self) -> UUID | None:
        """A campaign whose longest-waiting round its pool covers."""
        batch = batch_of(self._tx)
        values = {"without": batch.without, "limit": batch.limit(1)}
        found: list[UUID] = await batch.claim(self._tx, _NEXT, values)
        return next(iter(found), None)


# The balance is read after the lock, so that it includes what the last holder of the lock committed.
_LOCK = Read(
    "SELECT c.*, CAST(c.settings AS text) AS settings_json, coalesce(ledger_balance(c.pool), 0) AS available, "
    "parties_of('campaign/' || c.id) AS parties_json "
    "FROM (SELECT * FROM campaigns WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE) c"
)
_LOAD = text(
    "SELECT c.*, CAST(c.settings AS text) AS settings_json, coalesce(a.balance, 0) AS available, "
    "parties_of('campaign/' || c.id) AS parties_json FROM campaigns c LEFT JOIN ledger_accounts a ON a.id = c.pool "
    "WHERE c.id = ANY (CAST(:ids AS uuid[]))"
)
_ADD = text(
    "INSERT INTO campaigns (id, name, asset, delivery, state, granted, queued, queue_tail, version, settings, "
    "settings_version, capped, pool, created_by, created_at) VALUES (:id, :name, :asset, :delivery, :state, "
    ":granted, :queued, :queue_tail, :version, CAST(:settings AS jsonb), :settings_version, :capped, :pool, :actor, "
    ":now)"
)
_SAVE = Write(
    "campaigns",
    "UPDATE campaigns c SET state = u.state, granted = u.granted, queued = u.queued, "
    "queue_tail = u.queue_tail, version = u.version, low = u.low "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), "
    "CAST(:granteds AS bigint[]), CAST(:queueds AS int[]), CAST(:queue_tails AS bigint[]), "
    "CAST(:versions AS int[]), CAST(:lows AS boolean[])) "
    "AS u(id, state, granted, queued, queue_tail, version, low) WHERE c.id = u.id",
)
_SETTINGS = text(
    "SELECT version, CAST(settings AS text) AS document FROM campaign_settings "
    "WHERE campaign = :id AND version = ANY (CAST(:versions AS int[]))"
)
_SET = text(
    "UPDATE campaigns SET settings = CAST(:settings AS jsonb), settings_version = :settings_version, "
    "capped = :capped WHERE id = :id"
)
_KEEP = text(
    "INSERT INTO campaign_settings (campaign, version, settings, actor, at) "
    "VALUES (:id, :settings_version, CAST(:settings AS jsonb), :actor, :now)"
)
_TAKE_BACK = text(
    "UPDATE campaigns c SET granted = c.granted - u.amount "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:amounts AS bigint[])) AS u(id, amount) WHERE c.id = u.id"
)
# Rounds are booked in the order of the queue: while the first round is at work, or the pool does not cover it, all others
# wait.
_NEXT = text(
    "SELECT c.id FROM campaigns c JOIN ledger_accounts a ON a.id = c.pool "
    "CROSS JOIN LATERAL (SELECT r.id, r.state, CASE r.state WHEN 'unfunded' THEN r.gross ELSE r.short END AS wanted "
    "FROM rounds r WHERE r.campaign = c.id AND r.queue_position IS NOT NULL "
    "ORDER BY r.queue_position LIMIT 1) head "
    "WHERE c.id <> ALL(CAST(:without AS uuid[])) AND c.queued > 0 AND c.state IN ('active', 'exhausted', 'ended') AND a.balance >= head.wanted "
    "AND head.state <> 'booking' AND NOT EXISTS (SELECT 1 FROM round_work w WHERE w.round_id = head.id) "
    "ORDER BY c.id LIMIT :limit"
)
