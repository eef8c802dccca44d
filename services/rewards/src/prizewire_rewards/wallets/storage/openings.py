"""Opening balances over PostgreSQL, read from the ledger: imports have no table of their own."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.ledger.storage.accounts import account_id
from prizewire_rewards.wallets.domain.opening import SumKey, intake_account


class SqlOpenings:
    """Opening balances of earlier imports, in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self) -> None:
        """Wait for other imports, and block them until the transaction ends."""
        await self._tx.execute(_LOCK)

    async def booked(self, transfers: Sequence[UUID]) -> dict[UUID, int]:
        """The amounts (minor units) of those of these transfers that exist."""
        rows = await self._tx.execute(_BOOKED, {"ids": list(transfers)})
        return {row.id: int(row.amount) for row in rows}

    async def totals(self, keys: Iterable[SumKey]) -> dict[SumKey, int]:
        """The sums (minor units) that imports have booked into each of these buckets."""
        by_account = {account_id(intake_account(key)): key for key in keys}
        rows = await self._tx.execute(_TOTALS, {"ids": list(by_account)})
        found = dict.fromkeys(sorted(by_account.values()), 0)
        return found | {by_account[row.id]: -int(row.balance) for row in rows}


_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('prizewire.openings'))")
_BOOKED = text("SELECT id, amount FROM ledger_transfers WHERE id = ANY (CAST(:ids AS uuid[]))")
_TOTALS = text("SELECT id, balance FROM ledger_balances WHERE id = ANY (CAST(:ids AS uuid[]))")
