"""Figures of all campaigns for metrics: their states, and their pools, the largest one by one and the rest summed up."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.metrics.definitions import OTHER
from prizewire_rewards.metrics import PoolFigures

TAIL_MAX: Final = 250_000
"""The most transfers that one statement reads: those after the last sum."""


async def count_states(tx: AsyncConnection) -> dict[str, int]:
    """The number of campaigns by state. It reads all campaigns."""
    return {row.state: row.campaigns for row in await tx.execute(_STATES)}


async def sum_paid(tx: AsyncConnection, *, rows_max: int = TAIL_MAX) -> bool:
    """Add the prizes that the next transfers paid to the stored sums, at most up to the ledger's checkpoint: no smaller number
    can be committed any more. Returns whether the limit was reached.
    """
    upto = int((await tx.execute(_LOCK)).scalar_one())
    end = int((await tx.execute(_END, {"upto": upto, "rows_max": rows_max})).scalar_one())
    if end > upto:
        values = {"upto": upto, "end": end}
        await tx.execute(_BY_INDEX)
        await tx.execute(_ADD, values)
        await tx.execute(_MOVE, values)
    return end - upto >= rows_max


async def pool_figures(tx: AsyncConnection, *, shown: int) -> list[PoolFigures]:
    """The figures of the ``shown`` campaigns with the most funded money, and the sums of the others by asset.

    Ended campaigns come last: their pools do not change any more. Amounts of different assets are not comparable, so the
    largest of each asset come first, then the second of each, and so on.

    The statement reads all campaigns, for each open round (reserved, being booked, or final with held prizes) its reserve, the
    queues, and the transfers after the last sum, at most ``TAIL_MAX``. It reads no final or voided round, no prize and no
    older transfer, so its cost does not grow with the history.
    """
    await tx.execute(_BY_INDEX)
    rows = await tx.execute(_POOLS, {"shown": shown, "other": OTHER, "tail": TAIL_MAX})
    return [
        PoolFigures(
            campaign=row.label,
            asset=row.asset,
            funded=int(row.funded),
            remaining=int(row.remaining),
            reserved=int(row.reserved),
            paid=int(row.paid),
            unfunded=int(row.unfunded),
            low=int(row.low),
        )
        for row in rows
    ]


# A plan that was made while the tables were small must not scan whole tables later.
_BY_INDEX = text("SET LOCAL enable_seqscan = off")
_STATES = text("SELECT state, count(*) AS campaigns FROM campaigns GROUP BY state")
_LOCK = text("SELECT seq FROM campaign_paid_upto FOR UPDATE")
_END = text("SELECT least(seq, CAST(:upto AS bigint) + CAST(:rows_max AS bigint)) FROM ledger_checkpoint")
_MOVE = text("UPDATE campaign_paid_upto SET seq = :end")


def _paid(after: str, end: str) -> str:
    """Select campaigns and what they paid by the transfers with numbers above ``after``, up to ``end``. Transfers are summed up
    by group before their rounds are looked up. A recovered debt goes to the pool of the prize's campaign.
    """
    return (
        "SELECT campaign, sum(amount) AS paid FROM ("  # noqa: S608 - our own columns
        "SELECT r.campaign, g.amount FROM (SELECT t.group_no, "
        "sum(CASE t.type WHEN 'prize_reversed' THEN -t.amount ELSE t.amount END) AS amount FROM ledger_transfers t "
        f"WHERE t.seq > {after} AND t.seq <= {end} AND (t.type IN ('prize_credited', 'prize_matured', 'claim_paid') "
        "OR t.type = 'prize_reversed' AND t.debit_kind = 'wallet:winnings') GROUP BY t.group_no) g "
        "JOIN ledger_groups c ON c.no = g.group_no "
        "JOIN rounds r ON r.id = CASE WHEN c.cause LIKE 'round/%' THEN CAST(split_part(c.cause, '/', 2) AS uuid) END "
        "UNION ALL SELECT c.id, -t.amount FROM ledger_transfers t JOIN campaigns c ON c.pool = t.credit_account "
        f"WHERE t.seq > {after} AND t.seq <= {end} AND t.type = 'receivable_recovered' AND t.credit_kind = 'pool'"
        ") p GROUP BY campaign"
    )


_ADD = text(
    "INSERT INTO campaign_paid AS p (campaign, paid) "
    + _paid("CAST(:upto AS bigint)", "CAST(:end AS bigint)")
    + " ON CONFLICT (campaign) DO UPDATE SET paid = p.paid + excluded.paid"
)
_POOLS = text(
    "WITH tail AS ("  # noqa: S608 - our own columns
    + _paid(
        "(SELECT seq FROM campaign_paid_upto)",
        "(SELECT seq + CAST(:tail AS bigint) FROM campaign_paid_upto)",
    )
    + "), keeping AS (SELECT c.id AS campaign, r.id FROM campaigns c JOIN rounds r ON r.campaign = c.id "
    "AND r.state IN ('reserved', 'booking') UNION ALL "
    "SELECT r.campaign, r.id FROM (SELECT DISTINCT round_id FROM rewards WHERE state = 'held') h "
    "JOIN rounds r ON r.id = h.round_id WHERE r.state = 'final'), "
    "reserves AS (SELECT c.id, sum(b.balance) AS reserved FROM keeping k JOIN campaigns c ON c.id = k.campaign "
    "JOIN ledger_accounts b ON b.kind = 'reserved' AND b.owner = CAST(k.id AS text) AND b.asset = c.asset GROUP BY c.id), "
    "queues AS (SELECT r.campaign, sum(CASE r.state WHEN 'unfunded' THEN r.gross ELSE r.short END) AS unfunded "
    "FROM rounds r WHERE r.queue_position IS NOT NULL GROUP BY r.campaign), "
    "figures AS (SELECT c.id, c.asset, c.funded, coalesce(a.balance, 0) AS remaining, coalesce(s.reserved, 0) AS reserved, "
    "coalesce(p.paid, 0) + coalesce(t.paid, 0) AS paid, coalesce(q.unfunded, 0) AS unfunded, "
    "CASE WHEN c.low AND c.state IN ('active', 'paused', 'exhausted') THEN 1 ELSE 0 END AS low, "
    "c.state = 'ended' AS ended, "
    "row_number() OVER (PARTITION BY c.asset ORDER BY c.state = 'ended', c.funded DESC, c.id) AS place FROM campaigns c "
    "LEFT JOIN ledger_accounts a ON a.id = c.pool LEFT JOIN reserves s ON s.id = c.id "
    "LEFT JOIN queues q ON q.campaign = c.id LEFT JOIN campaign_paid p ON p.campaign = c.id "
    "LEFT JOIN tail t ON t.campaign = c.id), "
    "ranked AS (SELECT f.*, row_number() OVER (ORDER BY f.ended, f.place, f.funded DESC, f.id) AS rank FROM figures f), "
    "labelled AS (SELECT r.*, CASE WHEN r.rank <= :shown THEN CAST(r.id AS text) ELSE CAST(:other AS text) END AS label "
    "FROM ranked r) "
    "SELECT label, asset, sum(funded) AS funded, sum(remaining) AS remaining, sum(reserved) AS reserved, sum(paid) AS paid, "
    "sum(unfunded) AS unfunded, sum(low) AS low FROM labelled GROUP BY label, asset ORDER BY label, asset"
)
