"""Queries of campaigns and their balance sheets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.campaigns.domain.model import SHEET_AMOUNTS, BalanceSheet, CampaignView
from prizewire_rewards.campaigns.storage.campaigns import settings_of


def _campaign_of(row: Any) -> CampaignView:
    return CampaignView(
        id=row.id,
        name=row.name,
        asset=row.asset,
        delivery=row.delivery,
        state=row.state,
        funded=row.funded,
        available=int(row.available),
        reserved=int(row.reserved),
        granted=row.granted,
        withdrawn=row.withdrawn,
        settings=settings_of(row.settings_json),
        settings_version=row.settings_version,
        unfunded_rounds=row.queued,
        missing=int(row.missing),
        created_at=row.created_at,
    )


# A round has a reserve until it is final and booked, and later for its held lines. Nearly all rounds have none, and are
# not read.
_CAMPAIGNS = text(
    "WITH shown AS (SELECT c.* FROM campaigns c WHERE (CAST(:one AS uuid) IS NULL OR c.id = :one) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (c.created_at, c.id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY c.created_at DESC, c.id DESC LIMIT :limit), "
    "keeping AS (SELECT r.id, r.campaign FROM rounds r WHERE r.campaign IN (SELECT id FROM shown) "
    "AND r.state IN ('reserved', 'booking') UNION ALL "
    "SELECT r.id, r.campaign FROM (SELECT DISTINCT round_id FROM rewards WHERE state = 'held') h "
    "JOIN rounds r ON r.id = h.round_id WHERE r.campaign IN (SELECT id FROM shown) AND r.state = 'final'), "
    "reserves AS (SELECT c.id, sum(b.balance) AS reserved FROM shown c JOIN keeping k ON k.campaign = c.id "
    "JOIN ledger_accounts b ON b.kind = 'reserved' AND b.owner = CAST(k.id AS text) AND b.asset = c.asset GROUP BY c.id) "
    "SELECT c.*, CAST(c.settings AS text) AS settings_json, coalesce(a.balance, 0) AS available, "
    "coalesce(s.reserved, 0) AS reserved, CASE WHEN c.queued > 0 THEN greatest(0, (SELECT sum(CASE q.state "
    "WHEN 'unfunded' THEN q.gross ELSE q.short END) FROM rounds q WHERE q.campaign = c.id "
    "AND q.queue_position IS NOT NULL) - coalesce(a.balance, 0)) ELSE 0 END AS missing FROM shown c LEFT JOIN ledger_accounts a ON a.id = c.pool "
    "LEFT JOIN reserves s ON s.id = c.id ORDER BY c.created_at DESC, c.id DESC"
)


# The transfers of a campaign have one of its rounds, or a payout of one of its prizes, as their cause. They are found by
# correlation id and selected by cause ("round/ID/…", "payout/ID…"). A recovered debt belongs to the campaign of the prize.
# Pool, reserves and held payouts are balances of accounts, not sums of these transfers: a wrong balance or a wrong transfer
# makes the sums of the sheet differ.
_SHEET = text(
    "WITH own AS (SELECT CAST(r.id AS text) AS id, r.correlation_id FROM rounds r WHERE r.campaign = :id "
    "UNION ALL SELECT CAST(b.id AS text), b.correlation_id FROM payouts b WHERE b.campaign = :id "
    "UNION ALL SELECT CAST(d.id AS text), d.correlation_id FROM receivables d WHERE d.campaign = :id), "
    "moved AS (SELECT t.type, t.debit_account, t.debit_kind, t.credit_account, t.credit_kind, t.asset, t.amount "
    "FROM (SELECT DISTINCT correlation_id FROM own) c JOIN ledger_journal t ON t.correlation_id = c.correlation_id "
    "JOIN own ON own.id = split_part(t.cause, '/', 2) AND own.correlation_id = t.correlation_id "
    "WHERE t.type <> 'rail_fee'), "
    "leg AS (SELECT debit_account AS account, debit_kind AS kind, type, asset, -amount AS delta FROM moved "
    "UNION ALL SELECT credit_account, credit_kind, type, asset, amount FROM moved), "
    "net AS (SELECT "
    "coalesce(sum(delta) FILTER (WHERE kind = 'fees' AND type LIKE 'platform_fee%'), 0) AS platform_fees, "
    "coalesce(sum(delta) FILTER (WHERE kind = 'fees' AND type LIKE 'organizer_fee%'), 0) AS organizer_fees, "
    "coalesce(sum(delta) FILTER (WHERE kind LIKE 'wallet:%'), 0) AS wallets, "
    "coalesce(sum(delta) FILTER (WHERE kind = 'treasury'), 0) AS paid FROM leg), "
    "held AS (SELECT coalesce(sum(b.balance) FILTER (WHERE b.kind = 'reserved'), 0) AS reserved, "
    "coalesce(sum(b.balance) FILTER (WHERE b.kind = 'payout_pending'), 0) AS payout_pending "
    "FROM own JOIN ledger_accounts b ON b.kind IN ('reserved', 'payout_pending') AND b.owner = own.id) "
    "SELECT c.asset, coalesce(a.balance, 0) AS available, n.*, h.*, coalesce((SELECT k.balance FROM ledger_accounts k "
    "WHERE k.kind = 'claimable' AND k.owner = CAST(c.id AS text) AND k.asset = c.asset), 0) AS claimable, "
    "coalesce((SELECT sum(f.amount) FROM ledger_journal f WHERE f.correlation_id = CAST(c.id AS text) "
    "AND f.type = 'campaign_funded' AND f.credit_account = c.pool), 0) AS funded, "
    "coalesce((SELECT sum(f.amount) FROM ledger_journal f WHERE f.correlation_id = CAST(c.id AS text) "
    "AND f.type = 'campaign_withdrawn' AND f.debit_account = c.pool), 0) AS withdrawn, "
    "coalesce((SELECT sum(CASE r.state WHEN 'unfunded' THEN r.gross ELSE r.short END) FROM rounds r "
    "WHERE r.campaign = c.id AND r.queue_position IS NOT NULL), 0) AS unfunded "
    "FROM campaigns c LEFT JOIN ledger_accounts a ON a.id = c.pool CROSS JOIN net n CROSS JOIN held h "
    "WHERE c.id = :id"
)


async def list_campaigns(
    tx: AsyncConnection, *, limit: int, before: tuple[datetime, UUID] | None
) -> list[CampaignView]:
    """Campaigns, newest first."""
    at, campaign_id = before if before is not None else (None, None)
    rows = await tx.execute(_CAMPAIGNS, {"limit": limit, "at": at, "id": campaign_id, "one": None})
    return [_campaign_of(row) for row in rows]


async def find_campaign(tx: AsyncConnection, campaign_id: UUID) -> CampaignView | None:
    """One campaign."""
    rows = await tx.execute(_CAMPAIGNS, {"limit": 1, "at": None, "id": None, "one": campaign_id})
    row = rows.one_or_none()
    return None if row is None else _campaign_of(row)


async def balance_sheet(tx: AsyncConnection, campaign_id: UUID) -> BalanceSheet | None:
    """The balance sheet of a campaign, by the ledger; None where there is no campaign."""
    row = (await tx.execute(_SHEET, {"id": campaign_id})).one_or_none()
    if row is None:
        return None
    amounts = {name: int(getattr(row, name)) for name in SHEET_AMOUNTS}
    return BalanceSheet(asset=row.asset, **amounts)
