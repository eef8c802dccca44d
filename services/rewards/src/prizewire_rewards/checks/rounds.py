"""The query about all money of a round, as (name of the subjects, subjects, breaches).

What a round took from its pool is in its reserve, with its players, in its fees, or owed. So money that came into a round's
reserve and left it by any type of transfer is found, also where each single transfer looks right.
"""

from typing import Final

from prizewire_chassis.assets import amount_sql

ROUND_QUESTION: Final[tuple[str, str, str]] = (
    "rounds",
    "SELECT id, lines_total + 1 AS weight FROM rounds",
    f"""
    SELECT r.id, format('round %s (%s): it took %s from its pool, and %s are in its reserve, %s with its players, %s owed; the '
                        'platform has %s of its fee of %s, the organizer %s of %s, of which %s are owed', r.id, r.state,
                        {amount_sql("t.taken", "r.asset")}, {amount_sql("coalesce(a.balance, 0)", "r.asset")},
                        {amount_sql("w.given", "r.asset")}, {amount_sql("v.prizes", "r.asset")},
                        {amount_sql("t.platform - t.platform_back", "r.asset")}, {amount_sql("r.platform_fee", "r.asset")},
                        {amount_sql("t.organizer - t.organizer_back", "r.asset")},
                        {amount_sql("r.organizer_fee", "r.asset")}, {amount_sql("v.fee", "r.asset")})
    FROM rounds r
    LEFT JOIN ledger_accounts a ON a.kind = 'reserved' AND a.owner = CAST(r.id AS text) AND a.asset = r.asset
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(CASE type WHEN 'prize_reserved' THEN amount ELSE -amount END) FILTER (WHERE type IN
                   ('prize_reserved', 'prize_unclaimed', 'prize_released', 'claim_expired', 'claim_rejected')), 0) AS taken,
               coalesce(sum(amount) FILTER (WHERE type = 'platform_fee'), 0) AS platform,
               coalesce(sum(amount) FILTER (WHERE type = 'platform_fee_reversed'), 0) AS platform_back,
               coalesce(sum(amount) FILTER (WHERE type = 'organizer_fee'), 0) AS organizer,
               coalesce(sum(amount) FILTER (WHERE type = 'organizer_fee_reversed'), 0) AS organizer_back
        FROM ledger_journal
        WHERE correlation_id = r.correlation_id
          AND split_part(cause, '/', 1) = 'round' AND split_part(cause, '/', 2) = CAST(r.id AS text)
    ) t
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount - short), 0) AS given FROM rewards
        WHERE round_id = r.id AND state IN ('pending', 'claimable', 'credited')
    ) w
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount - lifted - restored) FILTER (WHERE reference = CAST(r.id AS text)), 0) AS prizes,
               coalesce(sum(amount) FILTER (WHERE reference = format('%s/organizer-fee', r.id)), 0) AS fee
        FROM receivables WHERE correlation_id = r.correlation_id AND campaign = r.campaign
    ) v
    WHERE r.id = ANY (CAST(:ids AS uuid[])) AND NOT (
        t.taken = coalesce(a.balance, 0) + w.given + v.prizes
                  + t.platform - t.platform_back + t.organizer - t.organizer_back
        AND t.platform IN (0, r.platform_fee) AND t.organizer IN (0, r.organizer_fee)
        AND CASE r.state
            WHEN 'final' THEN (t.platform, t.organizer, t.platform_back, t.organizer_back)
                              = (r.platform_fee, r.organizer_fee, 0, 0)
            WHEN 'booking' THEN t.platform_back IN (0, t.platform) AND t.organizer_back IN (0, t.organizer - v.fee)
            WHEN 'voided' THEN t.platform_back = t.platform AND t.organizer_back = t.organizer - v.fee
            ELSE (t.platform, t.organizer) = (0, 0) END)
    """,
)
