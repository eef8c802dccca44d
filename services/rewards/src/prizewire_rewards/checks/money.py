"""Queries about entries and top-ups, as (name of the subjects, subjects, breaches)."""

from typing import Final

from prizewire_chassis.assets import amount_sql
from prizewire_rewards.checks.invariants import Invariant

MONEY_QUESTIONS: Final[dict[Invariant, tuple[str, str, str]]] = {
    Invariant.ENTRIES_IN_ESCROW: (
        "entries",
        "SELECT id, 1 AS weight FROM entries",
        f"""
        SELECT e.id, format('entry %s is %s (%s from top-ups, %s from winnings), and holds %s and %s; its round is %s',
                            e.id, e.state, {amount_sql("e.from_topup", "e.asset")},
                            {amount_sql("e.from_winnings", "e.asset")},
                            {amount_sql("coalesce(t.balance, 0)", "e.asset")},
                            {amount_sql("coalesce(w.balance, 0)", "e.asset")},
                            CASE WHEN r.id IS NULL THEN 'missing' ELSE coalesce(r.ended_as, 'not ended') END)
        FROM entries e
        LEFT JOIN ledger_accounts t
            ON t.kind = 'entry_fee_escrow:topup' AND t.owner = CAST(e.id AS text) AND t.asset = e.asset
        LEFT JOIN ledger_accounts w
            ON w.kind = 'entry_fee_escrow:winnings' AND w.owner = CAST(e.id AS text) AND w.asset = e.asset
        LEFT JOIN entry_rounds r ON r.id = e.round_id
        WHERE e.id = ANY (CAST(:ids AS uuid[]))
          AND (coalesce(t.balance, 0) <> CASE WHEN e.state = 'paid' THEN e.from_topup ELSE 0 END
               OR coalesce(w.balance, 0) <> CASE WHEN e.state = 'paid' THEN e.from_winnings ELSE 0 END
               OR (e.state = 'paid' AND (r.id IS NULL OR (r.ended_as IS NOT NULL AND NOT r.closing))))
        """,
    ),
    Invariant.FEES_ADD_UP: (
        "withdrawals of fees",
        "SELECT id, 1 AS weight FROM fee_withdrawals",
        f"""
        SELECT w.id, format('withdrawal of fees %s of %s is %s, and %s has left by it; the least account of fees holds %s',
                            w.id, {amount_sql("w.amount", "w.asset")}, w.state, {amount_sql("l.gone", "w.asset")},
                            {amount_sql("b.least", "w.asset")})
        FROM fee_withdrawals w
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount), 0) AS gone FROM ledger_journal
            WHERE correlation_id = CAST(w.id AS text) AND type IN ('fee_withdrawn', 'entry_fee_withdrawn')
        ) l
        CROSS JOIN LATERAL (
            SELECT coalesce(min(balance), 0) AS least FROM ledger_balances
            WHERE kind IN ('fees', 'entry_fees') AND asset = w.asset
        ) b
        WHERE w.id = ANY (CAST(:ids AS uuid[]))
          AND (l.gone <> CASE WHEN w.state = 'approved' THEN w.amount ELSE 0 END OR b.least < 0)
        """,
    ),
    Invariant.TOPUPS_ADD_UP: (
        "top-ups",
        "SELECT id, 1 AS weight FROM topups",
        f"""
        SELECT t.id, format('top-up %s: %s credited, %s reversed; its reversals make %s, the ledger credited %s and took %s',
                            t.id, {amount_sql("t.credited", "t.asset")}, {amount_sql("t.reversed", "t.asset")},
                            {amount_sql("v.total", "t.asset")}, {amount_sql("l.credited", "t.asset")},
                            {amount_sql("l.taken", "t.asset")})
        FROM topups t
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(taken + owed - restored), 0) AS total, coalesce(sum(taken), 0) AS taken,
                   coalesce(sum(restored - lifted), 0) AS back
            FROM topup_reversals WHERE topup_id = t.id
        ) v
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE type = 'topup_credited'), 0) AS credited,
                   coalesce(sum(amount) FILTER (WHERE type = 'topup_reversed'), 0) AS taken
            FROM ledger_journal WHERE correlation_id = t.correlation_id AND split_part(cause, '/', 2) = CAST(t.id AS text)
        ) l
        WHERE t.id = ANY (CAST(:ids AS uuid[]))
          AND (t.reversed <> v.total OR t.reversed > t.credited OR l.taken <> v.taken
               OR l.credited <> t.credited + v.back)
        """,
    ),
}
