"""Listings of payouts, funding accounts and automatic withdrawals over PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.ledger.storage.accounts import Place, page_of_changes
from prizewire_rewards.payouts.domain.model import FundingView, PayoutState, PayoutView, RequestedPayout
from prizewire_rewards.payouts.domain.withdrawals import AutoWithdrawal
from prizewire_rewards.payouts.storage.funding import withdrawal_of


def _payout_of(row: Any) -> PayoutView:
    return PayoutView(
        id=row.id,
        player=row.player,
        payee=row.payee,
        asset=row.asset,
        amount=row.amount,
        fee=row.fee,
        pay_asset=row.pay_asset,
        pay=row.pay,
        state=PayoutState(row.state),
        method_id=row.method_id,
        campaign=row.campaign,
        round_id=row.round_id,
        correlation_id=row.correlation_id,
        requested_at=row.requested_at,
        changed_at=row.changed_at,
        outcome=None if row.outcome_json is None else orjson.loads(row.outcome_json),
    )


_PAYOUTS = text(
    "SELECT p.*, CAST(p.outcome AS text) AS outcome_json FROM payouts p "
    "WHERE (CAST(:player AS text) IS NULL OR p.player = :player) "
    "AND (CAST(:state AS text) IS NULL OR p.state = :state) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (p.requested_at, p.id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY p.requested_at DESC, p.id DESC LIMIT :limit"
)


_FUNDINGS = text(
    "SELECT f.*, coalesce(a.balance, 0) AS balance, coalesce((SELECT sum(p.amount) FROM payouts p "
    "WHERE p.funding_account = f.name AND p.state IN ('requested', 'cancel_requested')), 0) AS payout_pending "
    "FROM funding_accounts f LEFT JOIN ledger_accounts a ON a.kind = 'funding' AND a.owner = f.name "
    "AND a.asset = f.asset WHERE CAST(:name AS text) IS NULL OR f.name = :name ORDER BY f.created_at DESC, f.name"
)


_WITHDRAWALS = text("SELECT * FROM auto_withdrawals WHERE player = :player ORDER BY created_at DESC, asset")


async def list_payouts(
    tx: AsyncConnection, *, player: str | None, limit: int, before: Place | None, state: str | None
) -> list[PayoutView]:
    """List payouts, newest first."""
    at, payout_id = before if before is not None else (None, None)
    rows = await tx.execute(
        _PAYOUTS, {"player": player, "limit": limit, "at": at, "id": payout_id, "state": state}
    )
    return [_payout_of(row) for row in rows]


async def list_fundings(tx: AsyncConnection, *, name: str | None = None) -> list[FundingView]:
    """List funding accounts with their balances, newest first; with a name, only that one."""
    rows = await tx.execute(_FUNDINGS, {"name": name})
    return [
        FundingView(
            name=row.name,
            asset=row.asset,
            balance=int(row.balance),
            payout_pending=int(row.payout_pending),
            created_by=row.created_by,
            created_at=row.created_at,
        )
        for row in rows
    ]


async def list_withdrawals(tx: AsyncConnection, player: str) -> list[AutoWithdrawal]:
    """List a player's automatic withdrawals, newest first."""
    return [withdrawal_of(row) for row in await tx.execute(_WITHDRAWALS, {"player": player})]


async def changed_payouts(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[RequestedPayout]:
    """List a page of the payouts that changed at ``since`` or later, the last change first."""
    statement, values = page_of_changes(_REQUESTED, since=since, before=before, limit=limit)
    return [RequestedPayout(**row) for row in (await tx.execute(statement, values)).mappings()]


async def requested_payouts(tx: AsyncConnection, ids: Sequence[UUID]) -> list[RequestedPayout]:
    """Read those of these payouts that exist, by id."""
    rows = await tx.execute(_REQUESTED_BY_ID, {"ids": list(ids)})
    return [RequestedPayout(**row) for row in rows.mappings()]


_REQUESTED = "SELECT id AS payout_id, player, payee, coalesce(pay_asset, asset) AS asset, coalesce(pay, amount - fee) AS amount, state, requested_at, changed_at, stored_at FROM payouts"
_REQUESTED_BY_ID = text(f"{_REQUESTED} WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id")
