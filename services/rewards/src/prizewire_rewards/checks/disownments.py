"""The query about disowned rounds, as (name of the subjects, subjects, breaches)."""

from typing import Final

from prizewire_chassis.assets import amount_sql

DISOWNMENT_QUESTION: Final[tuple[str, str, str]] = (
    "disownments",
    "SELECT id, 1 AS weight FROM round_disownments",
    f"""
    SELECT d.id, format('disownment %s of round %s is %s: the round is %s, of its fees %s were taken and %s came back or '
                        'are owed, and %s of its entries have their fee taken', d.id, d.round_id, d.state,
                        coalesce(r.state, 'unknown'), {amount_sql("f.taken", "r.asset")}, {amount_sql("f.back", "r.asset")},
                        e.count)
    FROM round_disownments d
    LEFT JOIN rounds r ON r.id = d.round_id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(t.amount) FILTER (WHERE t.type IN ('platform_fee', 'organizer_fee')), 0) AS taken,
               coalesce(sum(t.amount) FILTER (WHERE t.type IN ('platform_fee_reversed', 'organizer_fee_reversed')), 0)
               + coalesce((SELECT sum(v.amount) FROM receivables v WHERE v.correlation_id = r.correlation_id
                           AND v.reference = format('%s/organizer-fee', r.id)), 0) AS back
        FROM ledger_journal t
        WHERE t.correlation_id = r.correlation_id AND split_part(t.cause, '/', 2) = CAST(r.id AS text)
    ) f
    CROSS JOIN LATERAL (
        SELECT count(*) AS count FROM entries n JOIN assets a ON a.code = n.asset
        WHERE n.round_id = d.round_id AND (n.state = 'paid' OR (n.state = 'earned' AND a.redeemable))
          AND NOT EXISTS (SELECT 1 FROM entry_rounds x WHERE x.id = n.round_id AND x.closing)
    ) e
    WHERE d.id = ANY (CAST(:ids AS uuid[])) AND CASE d.state
        WHEN 'approved' THEN e.count > 0 OR (r.id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM round_work k WHERE k.round_id = r.id AND k.phase = 'void')
            AND (r.state <> 'voided' OR f.taken <> f.back))
        ELSE f.back > 0 AND NOT EXISTS (
            SELECT 1 FROM round_disownments o WHERE o.round_id = d.round_id AND o.state = 'approved') END
    """,
)
