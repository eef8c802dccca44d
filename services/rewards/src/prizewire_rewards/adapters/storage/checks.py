"""The invariants as questions to the database: each answers its breaches as sentences."""

from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import Check
from prizewire_rewards.domain.invariants import Invariant

__all__ = ["SQL", "build_checks"]

BREACHES_MAX = 50

SQL: dict[Invariant, str] = {
    Invariant.BALANCES_ARE_SUMS: """
        SELECT format('%s of %s in %s holds %s, its transfers make %s',
                      b.kind, b.owner, b.asset, b.balance, coalesce(s.total, 0))
        FROM ledger_balances b LEFT JOIN (
            SELECT leg.account, sum(leg.delta) AS total FROM (
                SELECT debit_account AS account, -amount AS delta FROM ledger_transfers
                UNION ALL SELECT credit_account, amount FROM ledger_transfers
            ) leg GROUP BY leg.account
        ) s ON s.account = b.id
        WHERE b.balance <> coalesce(s.total, 0)
    """,
    Invariant.ASSETS_SUM_TO_ZERO: """
        SELECT format('all accounts in %s sum to %s', asset, sum(balance))
        FROM ledger_balances GROUP BY asset HAVING sum(balance) <> 0
    """,
    Invariant.BOUNDS_HOLD: """
        SELECT format('%s of %s in %s holds %s', kind, owner, asset, balance) FROM ledger_accounts
        WHERE (bound = 'floor' AND balance < 0) OR (bound = 'ceiling' AND balance > 0)
    """,
    Invariant.GRANTED_WITHIN_FUNDED: """
        SELECT format('campaign %s: funded %s, granted %s, the pool holds %s, %s came in, %s rounds wait of %s',
                      c.id, c.funded, c.granted, coalesce(a.balance, 0), coalesce(f.total, 0), q.waiting, c.queued)
        FROM campaigns c LEFT JOIN ledger_accounts a ON a.id = c.pool
        LEFT JOIN (
            SELECT credit_account, sum(amount) AS total FROM ledger_transfers WHERE type = 'campaign_funded'
            GROUP BY credit_account
        ) f ON f.credit_account = c.pool
        CROSS JOIN LATERAL (
            SELECT count(*) AS waiting FROM rounds r WHERE r.campaign = c.id AND r.queue_position IS NOT NULL
        ) q
        WHERE c.granted > c.funded OR c.granted < 0 OR c.funded <> coalesce(f.total, 0)
           OR c.funded - c.granted <> coalesce(a.balance, 0) OR q.waiting <> c.queued
    """,
    Invariant.ROUNDS_ADD_UP: """
        SELECT format('round %s (%s): reserve %s, lines %s of %s', r.id, r.state, coalesce(a.balance, 0), x.total,
                      r.net - r.unclaimed)
        FROM rounds r LEFT JOIN ledger_accounts a
            ON a.kind = 'reserved' AND a.owner = CAST(r.id AS text) AND a.asset = r.asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(w.amount), 0) AS total, count(*) AS lines,
                   count(*) FILTER (WHERE w.state <> CASE r.state WHEN 'final' THEN 'credited'
                                    WHEN 'reserved' THEN 'pending' ELSE 'unfunded' END) AS astray
            FROM rewards w WHERE w.round_id = r.id
        ) x
        WHERE x.total <> r.net - r.unclaimed OR x.lines <> r.lines_total OR x.astray > 0
           OR coalesce(a.balance, 0) <>
              CASE r.state WHEN 'reserved' THEN r.platform_fee + r.organizer_fee ELSE 0 END
    """,
    Invariant.ONE_PAYOUT_PER_REWARD: """
        SELECT format('reward %s of %s and payout %s do not fit', w.id, w.player, w.payout_id)
        FROM rewards w LEFT JOIN payouts p ON p.id = w.payout_id
        WHERE w.payout_id IS NOT NULL AND (p.id IS NULL OR p.player <> w.player OR p.asset <> w.asset
            OR p.amount > w.amount OR p.round_id IS DISTINCT FROM w.round_id)
    """,
    Invariant.PAYOUTS_CONSISTENT: """
        SELECT format('payout %s is %s over %s, and holds %s', p.id, p.state, p.amount, coalesce(a.balance, 0))
        FROM payouts p LEFT JOIN ledger_accounts a
            ON a.kind = 'payout_pending' AND a.owner = CAST(p.id AS text) AND a.asset = p.asset
        WHERE coalesce(a.balance, 0) <>
              CASE WHEN p.state IN ('requested', 'cancel_requested') THEN p.amount ELSE 0 END
           OR (p.state IN ('paid', 'returned')) <> (p.rail IS NOT NULL)
           OR (p.state = 'returned') <> (p.returned > 0)
    """,
    Invariant.TRANSITIONS_UNBROKEN: """
        SELECT format('%s %s is %s, its history ends in %s', s.machine, s.id, s.state, t.to_state)
        FROM (
            SELECT 'campaign' AS machine, id, state FROM campaigns
            UNION ALL SELECT 'round', id, state FROM rounds
            UNION ALL SELECT 'payout', id, state FROM payouts
        ) s LEFT JOIN LATERAL (
            SELECT to_state FROM transitions WHERE subject = s.id ORDER BY id DESC LIMIT 1
        ) t ON true
        WHERE t.to_state IS DISTINCT FROM s.state
    """,
}


async def _breaches(tx: AsyncConnection, *, sql: str) -> list[str]:
    rows = await tx.execute(text(f"{sql} LIMIT {BREACHES_MAX}"))
    return [str(row[0]) for row in rows]


def build_checks() -> list[Check]:
    """One check for each invariant."""
    return [Check(name=name, run=partial(_breaches, sql=sql)) for name, sql in SQL.items()]
