"""The sums of a year over PostgreSQL."""

from typing import Final

from sqlalchemy import text

from prizewire_money import Amount
from prizewire_payouts.tax_list.domain import TaxLine, bounds_of
from prizewire_payouts.unit_of_work import UnitOfWork

# A payout out of a funding account has no player, and is in no list.
LINES: Final = text(
    "SELECT s.person, s.campaign, s.asset, s.payouts, s.paid, t.tax_state, t.kyc_state, t.kyc_expires_at FROM ("
    "SELECT coalesce(p.payee, p.player) AS person, p.campaign, p.asset, "
    "count(*) FILTER (WHERE p.amount_minor > coalesce(p.returned_minor, 0)) AS payouts, "
    "sum(p.amount_minor - coalesce(p.returned_minor, 0)) AS paid FROM payouts p "
    "WHERE p.paid_at >= :begin AND p.paid_at < :end AND p.state IN ('paid', 'returned') AND p.player IS NOT NULL "
    "AND (CAST(:campaign AS text) IS NULL OR p.campaign = :campaign) GROUP BY 1, 2, 3) s "
    "JOIN assets a ON a.code = s.asset LEFT JOIN players t ON t.player = s.person "
    "WHERE s.paid > 0 AND (CAST(:above AS text) IS NULL OR s.paid > CAST(CAST(:above AS text) AS numeric) * power(10::numeric, a.decimals)) "
    'ORDER BY s.person COLLATE "C", s.campaign NULLS FIRST, s.asset LIMIT :limit'
)


class TaxLists:
    """Reads the lists within a transaction; locks nothing."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._tx = unit_of_work.tx
        self._assets = unit_of_work.assets

    async def lines(self, *, year: int, campaign: str | None, above: str | None, limit: int) -> list[TaxLine]:
        """The lines of what was paid in the year (UTC), by person, campaign and asset. ``above`` leaves out sums of this decimal
        text or less, in units of their asset.
        """
        begin, end = bounds_of(year)
        values = {"begin": begin, "end": end, "campaign": campaign, "above": above, "limit": limit}
        return [
            TaxLine(
                person=row.person,
                campaign=row.campaign,
                payouts=row.payouts,
                paid=Amount(self._assets[row.asset], int(row.paid)),
                tax_state=row.tax_state,
                identity_state=row.kyc_state,
                identity_until=row.kyc_expires_at,
            )
            for row in await self._tx.execute(LINES, values)
        ]
