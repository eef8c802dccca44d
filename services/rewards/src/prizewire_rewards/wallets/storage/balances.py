"""A player's balances by asset."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.ledger.storage.accounts import account_id
from prizewire_rewards.prizes.storage.views import PARTS
from prizewire_rewards.wallets.domain.history import WalletBalance
from prizewire_rewards.wallets.domain.opening import SumKey, intake_account


async def wallet_balances(tx: AsyncConnection, player: str) -> list[WalletBalance]:
    """A player's money by asset (minor units)."""
    rows = await tx.execute(_BALANCES, {"player": player})
    return [
        WalletBalance(
            asset=row.asset,
            winnings=int(row.winnings),
            topup=int(row.topup),
            pending=int(row.pending),
            held=int(row.held),
            payout_pending=int(row.payout_pending),
            lifetime_earnings=int(row.lifetime_earnings),
            short=int(row.short),
            owed=int(row.owed),
        )
        for row in rows
    ]


# One scan of the player's rewards gives credited and held prizes. A player with only a held prize has no wallet account.
_BALANCES = text(
    "WITH buckets AS (SELECT asset, "  # noqa: S608 - our own words
    "sum(balance) FILTER (WHERE kind = 'wallet:winnings') AS winnings, "
    "sum(balance) FILTER (WHERE kind = 'wallet:topup') AS topup, "
    "sum(balance) FILTER (WHERE kind = 'wallet:pending') AS pending "
    "FROM ledger_accounts WHERE owner = :player AND kind IN ('wallet:winnings', 'wallet:topup', 'wallet:pending') "
    "GROUP BY asset), waiting AS (SELECT asset, sum(amount) AS amount FROM payouts "
    "WHERE player = :player AND state IN ('requested', 'cancel_requested') GROUP BY asset), "
    "debts AS (SELECT asset, sum(open) AS owed FROM receivables WHERE player = :player AND open > 0 GROUP BY asset), "
    "prizes AS (SELECT x.asset, sum(x.booked) FILTER (WHERE x.state = 'credited') AS earned, "
    "sum(x.booked) FILTER (WHERE x.state IN ('held', 'claimable')) AS held, sum(x.missing) AS short "
    f"FROM (SELECT asset, state, {PARTS} FROM rewards x WHERE x.player = :player) x GROUP BY x.asset) "
    "SELECT asset, coalesce(b.winnings, 0) AS winnings, coalesce(b.topup, 0) AS topup, "
    "coalesce(b.pending, 0) AS pending, coalesce(p.held, 0) AS held, coalesce(w.amount, 0) AS payout_pending, "
    "coalesce(p.earned, 0) AS lifetime_earnings, coalesce(p.short, 0) AS short, coalesce(d.owed, 0) AS owed "
    "FROM buckets b FULL JOIN prizes p USING (asset) FULL JOIN waiting w USING (asset) FULL JOIN debts d USING (asset) "
    "WHERE b.asset IS NOT NULL OR p.held > 0 OR p.short > 0 OR d.owed > 0 ORDER BY asset"
)


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
