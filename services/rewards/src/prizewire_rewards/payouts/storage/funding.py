"""Funding accounts and automatic withdrawals over PostgreSQL."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import batch_of
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.storage.accounts import account_id
from prizewire_rewards.payouts.domain.funding import FundingAccount
from prizewire_rewards.payouts.domain.withdrawals import AutoWithdrawal, Schedule


class SqlFundings:
    """Funding accounts in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def get(self, name: str) -> FundingAccount | None:
        """See the port."""
        row = (await self._tx.execute(_FUNDING, {"name": name})).one_or_none()
        return None if row is None else FundingAccount(name=row.name, asset=row.asset)

    async def add(self, account: FundingAccount, *, actor: str, now: datetime) -> bool:
        """Store a new account; False where the name is taken."""
        values = {"name": account.name, "asset": account.asset, "actor": actor, "now": now}
        return (await self._tx.execute(_ADD_FUNDING, values)).rowcount == 1


class SqlWithdrawals:
    """Automatic withdrawals in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self, *, player: str, asset: str) -> AutoWithdrawal | None:
        """See the port."""
        row = (await self._tx.execute(_LOCK, {"player": player, "asset": asset})).one_or_none()
        return None if row is None else withdrawal_of(row)

    async def lock_due(self, *, now: datetime) -> AutoWithdrawal | None:
        """See the port."""
        batch = batch_of(self._tx)
        values = {"now": now, "without": batch.without, "limit": batch.limit(1)}
        for key in await batch.claim(self._tx, _LOCK_DUE, values):
            player, asset = orjson.loads(key)
            return await self.lock(player=player, asset=asset)
        return None

    async def save(self, withdrawal: AutoWithdrawal, *, now: datetime) -> None:
        """See the port."""
        values = {name: getattr(withdrawal, name) for name in _WITHDRAWAL}
        wallet = account_id(Account(Kind.WINNINGS, withdrawal.player, withdrawal.asset))
        await self._tx.execute(_SAVE, {**values, "wallet": wallet, "now": now})

    async def remove(self, *, player: str, asset: str) -> bool:
        """See the port."""
        return (await self._tx.execute(_REMOVE, {"player": player, "asset": asset})).rowcount == 1


def withdrawal_of(row: Any) -> AutoWithdrawal:
    """Read a withdrawal from its row."""
    values = {name: getattr(row, name) for name in _WITHDRAWAL}
    return AutoWithdrawal(**{**values, "schedule": Schedule(row.schedule) if row.schedule else None})


_WITHDRAWAL = (
    "player",
    "asset",
    "threshold",
    "schedule",
    "hour_utc",
    "minimum",
    "method_id",
    "next_at",
    "attempts",
    "note",
    "noted_at",
    "last_payout",
)
_FUNDING = text("SELECT name, asset FROM funding_accounts WHERE name = :name")
_ADD_FUNDING = text(
    "INSERT INTO funding_accounts (name, asset, created_by, created_at) VALUES (:name, :asset, :actor, :now) "
    "ON CONFLICT DO NOTHING"
)
_LOCK = text("SELECT * FROM auto_withdrawals WHERE player = :player AND asset = :asset FOR UPDATE")
_KEY = "CAST(jsonb_build_array(w.player, w.asset) AS text)"
_LOCK_DUE = text(
    f"SELECT {_KEY} FROM auto_withdrawals w LEFT JOIN ledger_accounts a ON a.id = w.wallet "  # noqa: S608 - a constant
    f"WHERE {_KEY} <> ALL(CAST(:without AS text[])) "
    "AND w.next_at <= :now AND (w.threshold IS NULL OR coalesce(a.balance, 0) >= w.threshold) "
    "ORDER BY w.next_at LIMIT :limit FOR UPDATE OF w SKIP LOCKED"
)
_SAVE = text(
    f"INSERT INTO auto_withdrawals AS w ({', '.join(_WITHDRAWAL)}, wallet, created_at, changed_at) "  # noqa: S608 - our own columns
    f"VALUES ({', '.join(':' + name for name in _WITHDRAWAL)}, :wallet, :now, :now) "
    "ON CONFLICT (player, asset) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _WITHDRAWAL if name not in ("player", "asset"))
    + ", changed_at = excluded.changed_at"
)
_REMOVE = text("DELETE FROM auto_withdrawals WHERE player = :player AND asset = :asset")
