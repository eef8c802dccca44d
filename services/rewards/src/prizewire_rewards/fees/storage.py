"""Withdrawals of fees over PostgreSQL."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.fees.domain import (
    FeeBalance,
    FeeSource,
    FeeWithdrawal,
    WithdrawalState,
    source_account,
)
from prizewire_rewards.ledger.domain.records import EarlierBooking
from prizewire_rewards.ledger.storage.accounts import account_id


class SqlFeeWithdrawals:
    """Withdrawals of fees in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock_balance(self, source: FeeSource, asset: str) -> int:
        """The balance (minor units), less what the job still has to refund for disowned rounds; locked until the
        transaction ends.
        """
        account = account_id(source_account(source, asset))
        await self._tx.execute(_LOCK_ACCOUNT, {"account": account})
        found = (await self._tx.execute(_BALANCE, {"account": account})).scalar_one_or_none()
        promised = 0
        if source is FeeSource.ENTRY_FEES:
            promised = (await self._tx.execute(_TO_REFUND, {"asset": asset})).scalar_one()
        return int(found or 0) - int(promised)

    async def earlier(self, withdrawal: FeeWithdrawal) -> EarlierBooking | None:
        """See the port."""
        values = {name: getattr(withdrawal, name) for name in ("source", "asset", "reference")}
        row = (await self._tx.execute(_EARLIER, values)).one_or_none()
        return (
            None
            if row is None
            else EarlierBooking(
                id=row.id, reference=row.reference, amount=row.amount, by=row.filed_by, at=row.filed_at
            )
        )

    async def add(self, withdrawal: FeeWithdrawal) -> None:
        """Store a new withdrawal."""
        await self._tx.execute(_ADD, {name: getattr(withdrawal, name) for name in _NAMES})

    async def lock(self, identifier: UUID) -> FeeWithdrawal | None:
        """One withdrawal, locked; None where it does not exist."""
        row = (await self._tx.execute(_LOCK, {"id": identifier})).one_or_none()
        return None if row is None else _withdrawal(row)

    async def decide(self, withdrawal: FeeWithdrawal) -> None:
        """Store the decision on a locked withdrawal."""
        await self._tx.execute(_DECIDE, {name: getattr(withdrawal, name) for name in ("id", *_DECIDED)})


async def fee_withdrawals(
    tx: AsyncConnection,
    *,
    state: WithdrawalState | None,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[FeeWithdrawal]:
    """Withdrawals, newest first, those before a (time, id)."""
    at, identifier = before or (None, None)
    rows = await tx.execute(_PAGE, {"state": state, "at": at, "id": identifier, "limit": limit})
    return [_withdrawal(row) for row in rows]


async def fee_withdrawal(tx: AsyncConnection, identifier: UUID) -> FeeWithdrawal | None:
    """One withdrawal; None where it does not exist."""
    row = (await tx.execute(_ONE, {"id": identifier})).one_or_none()
    return None if row is None else _withdrawal(row)


async def fee_balances(tx: AsyncConnection, *, assets: list[str]) -> list[FeeBalance]:
    """The fees by asset and source."""
    places = [(asset, source) for asset in assets for source in FeeSource]
    values = {
        "accounts": [account_id(source_account(source, asset)) for asset, source in places],
        "assets": [asset for asset, _ in places],
        "sources": [source for _, source in places],
    }
    return [
        FeeBalance(
            source=FeeSource(row.source),
            asset=row.asset,
            balance=int(row.balance),
            withdrawn=int(row.withdrawn),
            filed=int(row.filed),
        )
        for row in await tx.execute(_BALANCES, values)
    ]


def _withdrawal(row: Any) -> FeeWithdrawal:
    values = {name: getattr(row, name) for name in _NAMES}
    return FeeWithdrawal(**{**values, "source": FeeSource(row.source), "state": WithdrawalState(row.state)})


_DECIDED = ("state", "decided_by", "decided_at", "reason")
_NAMES = ("id", "source", "asset", "amount", "reference", "filed_by", "filed_at", *_DECIDED, "repeats")
_LOCK_ACCOUNT = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(CAST(CAST(:account AS uuid) AS text), 0))"
)
# A separate statement, so that it sees what the last holder of the lock committed.
_BALANCE = text("SELECT balance FROM ledger_balances WHERE id = :account")
_TO_REFUND = text(
    "SELECT coalesce(sum(e.amount), 0) FROM entry_rounds r "
    "JOIN round_disownments d ON d.round_id = r.id AND d.state = 'approved' "
    "JOIN entries e ON e.round_id = r.id AND e.state = 'earned' AND e.asset = :asset "
    "JOIN assets a ON a.code = e.asset AND a.redeemable WHERE r.closing"
)
_EARLIER = text(
    "SELECT id, reference, amount, filed_by, filed_at FROM fee_withdrawals WHERE source = :source AND asset = :asset "
    "AND lower(reference) = lower(CAST(:reference AS text)) AND state <> 'rejected' ORDER BY repeats IS NOT NULL, filed_at, id LIMIT 1"
)
_ADD = text(
    f"INSERT INTO fee_withdrawals ({', '.join(_NAMES)}) VALUES ({', '.join(':' + name for name in _NAMES)})"  # noqa: S608 - our own columns
)
_ONE = text("SELECT * FROM fee_withdrawals WHERE id = :id")
_LOCK = text("SELECT * FROM fee_withdrawals WHERE id = :id FOR UPDATE")
_DECIDE = text(
    f"UPDATE fee_withdrawals SET {', '.join(f'{name} = :{name}' for name in _DECIDED)} WHERE id = :id"  # noqa: S608 - our own columns
)
_PAGE = text(
    "SELECT * FROM fee_withdrawals WHERE (CAST(:state AS text) IS NULL OR state = :state) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (filed_at, id) < (:at, CAST(:id AS uuid))) "
    "ORDER BY filed_at DESC, id DESC LIMIT :limit"
)
_BALANCES = text(
    "SELECT u.source, u.asset, b.balance, "
    "coalesce(sum(w.amount) FILTER (WHERE w.state = 'approved'), 0) AS withdrawn, "
    "coalesce(sum(w.amount) FILTER (WHERE w.state = 'filed'), 0) AS filed "
    "FROM unnest(CAST(:accounts AS uuid[]), CAST(:assets AS text[]), CAST(:sources AS text[])) "
    "AS u(account, asset, source) JOIN ledger_balances b ON b.id = u.account "
    "LEFT JOIN fee_withdrawals w ON w.source = u.source AND w.asset = u.asset "
    "GROUP BY u.source, u.asset, b.balance ORDER BY u.asset, u.source"
)
