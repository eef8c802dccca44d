"""Figures of all campaigns for metrics: their states, and their pools, the largest one by one and the rest summed up."""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.metrics.definitions import OTHER

TAIL_MAX: Final = 100_000
"""The most transfers that one statement reads: those after the last sum."""


class PoolFigures(NamedTuple):
    """The figures of one campaign, or the sums of several; ``campaign`` and ``name`` are labels. ``low`` is a number of campaigns, all
    others are minor units of ``asset``.
    """

    campaign: str
    name: str
    asset: str
    funded: int
    remaining: int
    reserved: int
    paid: int
    unfunded: int
    missing: int
    low: int


class HeldFigures(NamedTuple):
    """The held prizes of one cap and asset: how many, their minor units, and when the round of the oldest was booked."""

    cap: str
    asset: str
    prizes: int
    amount: int
    oldest: datetime


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

    The statement reads all campaigns; for each open round (reserved, being booked, or final with held prizes) its reserve,
    about 0.1 ms each; the queues; and the transfers after the last sum, at most ``TAIL_MAX``, about 0.5 s for all of them. It
    reads no ended round, no paid prize and no older transfer, so its cost does not grow with the history.
    """
    await tx.execute(_BY_INDEX)
    rows = await tx.execute(_POOLS, {"shown": shown, "other": OTHER, "tail": TAIL_MAX})
    return [
        PoolFigures(
            campaign=row.label,
            name=row.name,
            asset=row.asset,
            funded=int(row.funded),
            remaining=int(row.remaining),
            reserved=int(row.reserved),
            paid=int(row.paid),
            unfunded=int(row.unfunded),
            missing=int(row.missing),
            low=int(row.low),
        )
        for row in rows
    ]


async def held_figures(tx: AsyncConnection) -> list[HeldFigures]:
    """The held prizes by cap and asset. It reads each held prize; persons decide about these."""
    await tx.execute(_BY_INDEX)
    return [
        HeldFigures(row.note, row.asset, row.prizes, int(row.amount), row.oldest)
        for row in await tx.execute(_HELD)
    ]


# A plan that was made while the tables were small must not scan whole tables later.
_BY_INDEX = text("SET LOCAL enable_seqscan = off")
_STATES = text("SELECT state, count(*) AS campaigns FROM campaigns GROUP BY state")
_HELD = text(
    "SELECT w.note, w.asset, count(*) AS prizes, sum(w.amount - w.short) AS amount, min(b.at) AS oldest FROM rewards w "
    "CROSS JOIN LATERAL (SELECT coalesce(min(s.at), (SELECT r.settled_at FROM rounds r WHERE r.id = w.round_id)) AS at "
    "FROM transitions s WHERE s.subject = w.round_id AND s.to_state IN ('reserved', 'booking', 'final')) b "
    "WHERE w.state = 'held' GROUP BY w.note, w.asset ORDER BY w.note, w.asset"
)
_LOCK = text("SELECT seq FROM campaign_paid_upto FOR UPDATE")
_END = text("SELECT least(seq, CAST(:upto AS bigint) + CAST(:rows_max AS bigint)) FROM ledger_checkpoint")
_MOVE = text("UPDATE campaign_paid_upto SET seq = :end")


def _paid(after: str, end: str) -> str:
    """Select campaigns and what they paid by the transfers with numbers above ``after``, up to ``end``; a campaign may have
    several rows. Transfers are summed up by group before their rounds are looked up. A recovered debt goes to the pool of the
    prize's campaign.
    """
    return (
        "SELECT (SELECT r.campaign FROM rounds r WHERE r.id = (SELECT CASE WHEN c.cause LIKE 'round/%' "  # noqa: S608 - our own columns
        "THEN CAST(split_part(c.cause, '/', 2) AS uuid) END FROM ledger_groups c WHERE c.no = g.group_no)) AS campaign, "
        "g.amount AS paid FROM (SELECT t.group_no, "
        "sum(CASE t.type WHEN 'prize_reversed' THEN -t.amount ELSE t.amount END) AS amount FROM ledger_transfers t "
        f"WHERE t.seq > {after} AND t.seq <= {end} AND (t.type IN ('prize_credited', 'prize_matured', 'claim_paid') "
        "OR t.type = 'prize_reversed' AND t.debit_kind = 'wallet:winnings') GROUP BY t.group_no) g "
        "UNION ALL SELECT (SELECT c.id FROM campaigns c WHERE c.pool = t.credit_account), -t.amount FROM ledger_transfers t "
        f"WHERE t.seq > {after} AND t.seq <= {end} AND t.type = 'receivable_recovered' AND t.credit_kind = 'pool'"
    )


_ADD = text(
    "INSERT INTO campaign_paid AS p (campaign, paid) SELECT campaign, sum(paid) FROM ("  # noqa: S608 - our own columns
    + _paid("CAST(:upto AS bigint)", "CAST(:end AS bigint)")
    + ") paid WHERE campaign IS NOT NULL GROUP BY campaign "
    "ON CONFLICT (campaign) DO UPDATE SET paid = p.paid + excluded.paid"
)
# Each figure is a row of its own, and rows are summed up by campaign: no join depends on how many rows the planner expects.
# OFFSET 0 keeps the planner from reading all rounds at once.
_POOLS = text(
    "WITH parts AS (SELECT c.id, coalesce((SELECT a.balance FROM ledger_accounts a WHERE a.id = c.pool), 0) AS remaining, "  # noqa: S608 - our own columns
    "0 AS reserved, 0 AS paid, 0 AS unfunded FROM campaigns c "
    "UNION ALL SELECT c.id, 0, (SELECT b.balance FROM ledger_accounts b WHERE b.kind = 'reserved' "
    "AND b.owner = CAST(r.id AS text) AND b.asset = c.asset), 0, 0 FROM campaigns c CROSS JOIN LATERAL ("
    "SELECT o.id FROM rounds o WHERE o.campaign = c.id AND o.state IN ('reserved', 'booking') OFFSET 0) r "
    "UNION ALL SELECT (SELECT r.campaign FROM rounds r WHERE r.id = h.round_id AND r.state = 'final'), 0, "
    "(SELECT b.balance FROM ledger_accounts b WHERE b.kind = 'reserved' AND b.owner = CAST(h.round_id AS text) "
    "AND b.asset = h.asset), 0, 0 FROM (SELECT DISTINCT w.round_id, w.asset FROM rewards w WHERE w.state = 'held') h "
    "UNION ALL SELECT c.id, 0, 0, 0, (SELECT sum(CASE r.state WHEN 'unfunded' THEN r.gross ELSE r.short END) "
    "FROM rounds r WHERE r.campaign = c.id AND r.queue_position IS NOT NULL) FROM campaigns c WHERE c.queued > 0 "
    "UNION ALL SELECT p.campaign, 0, 0, p.paid, 0 FROM campaign_paid p "
    "UNION ALL SELECT t.campaign, 0, 0, t.paid, 0 FROM ("
    + _paid(
        "(SELECT seq FROM campaign_paid_upto)",
        "(SELECT seq + CAST(:tail AS bigint) FROM campaign_paid_upto)",
    )
    + ") t), sums AS (SELECT id, sum(remaining) AS remaining, sum(reserved) AS reserved, sum(paid) AS paid, "
    "sum(unfunded) AS unfunded FROM parts WHERE id IS NOT NULL GROUP BY id), "
    "figures AS (SELECT c.id, c.name, c.asset, c.funded, s.remaining, s.reserved, s.paid, s.unfunded, "
    "greatest(0, s.unfunded - s.remaining) AS missing, "
    "CASE WHEN c.low AND c.state IN ('active', 'paused', 'exhausted') OR c.state = 'active' AND s.remaining = 0 "
    "AND c.settings ->> 'low_water' IS NULL THEN 1 ELSE 0 END AS low, "
    "c.state = 'ended' AS ended, "
    "row_number() OVER (PARTITION BY c.asset ORDER BY c.state = 'ended', c.funded DESC, c.id) AS place "
    "FROM sums s JOIN campaigns c ON c.id = s.id), "
    "ranked AS (SELECT f.*, row_number() OVER (ORDER BY f.ended, f.place, f.funded DESC, f.id) AS rank FROM figures f), "
    "labelled AS (SELECT r.asset, r.funded, r.remaining, r.reserved, r.paid, r.unfunded, r.missing, r.low, "
    "CASE WHEN r.rank <= :shown THEN CAST(r.id AS text) ELSE CAST(:other AS text) END AS label, "
    "CASE WHEN r.rank <= :shown THEN r.name ELSE CAST(:other AS text) END AS name "
    "FROM ranked r) "
    "SELECT label, name, asset, sum(funded) AS funded, sum(remaining) AS remaining, coalesce(sum(reserved), 0) AS reserved, "
    "sum(paid) AS paid, coalesce(sum(unfunded), 0) AS unfunded, "
    "coalesce(sum(missing) FILTER (WHERE unfunded > 0), 0) AS missing, sum(low) AS low "
    "FROM labelled GROUP BY label, name, asset ORDER BY label, name, asset"
)
