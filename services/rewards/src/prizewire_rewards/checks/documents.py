"""The query about transfers and their documents, as (name of the subjects, subjects, breaches).

A transfer's cause names its document: ``fund/ID``, ``funding/ID``, ``opening/ID`` a record of ``money_in`` (which has the
id of the transfer), ``topup/ID``, ``payout/ID``, ``round/ID``, ``entry/ID`` the row of that id. What a document's own
transfers sum up to is asked by the other invariants, which find them by the document's correlation id: so a transfer
must have that as well.
"""

from typing import Final

from prizewire_chassis.assets import amount_sql

DOCUMENTED: Final = (
    "debit_kind IN ('external_in', 'pool', 'treasury', 'payout_pending', 'entry_fee_escrow:winnings', "
    "'entry_fee_escrow:topup')"
)
"""Predicate of the partial index of transfers that have a document. A query uses the index if it repeats the predicate word
for word.
"""

DOCUMENT_QUESTION: Final[tuple[str, str, str]] = (
    "transfers with documents",
    f"SELECT id, 1 AS weight FROM ledger_transfers WHERE {DOCUMENTED} UNION ALL SELECT id, 1 FROM money_in",
    f"""
    SELECT t.id, format('transfer %s (%s) of %s to %s of %s, caused by %s: %s', t.id, t.type,
                        {amount_sql("t.amount", "t.asset")}, t.credit_kind, c.owner, t.cause, w.wrong)
    FROM ledger_journal t
    JOIN ledger_accounts c ON c.id = t.credit_account
    JOIN ledger_accounts d ON d.id = t.debit_account
    CROSS JOIN LATERAL (
        SELECT split_part(t.cause, '/', 1) AS what, CASE
            WHEN split_part(t.cause, '/', 2) ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'
            THEN CAST(split_part(t.cause, '/', 2) AS uuid) END AS id
    ) k
    LEFT JOIN money_in m ON m.id = t.id
    LEFT JOIN topups u ON u.id = k.id AND k.what = 'topup'
    LEFT JOIN payouts p ON p.id = k.id AND k.what = 'payout'
    LEFT JOIN rounds r ON r.id = k.id AND k.what = 'round'
    LEFT JOIN entries e ON e.id = k.id AND k.what = 'entry'
    CROSS JOIN LATERAL (SELECT CASE
        WHEN t.type IN ('campaign_funded', 'funding_added', 'opening_balance') THEN CASE
            WHEN m.id IS NULL THEN 'no record says who let it in'
            WHEN (m.type, m.account, m.asset, m.amount, m.cause, m.correlation_id)
                 <> (t.type, t.credit_account, t.asset, t.amount, t.cause, t.correlation_id)
            THEN format('%s is on record with %s as %s by %s', m.actor, {amount_sql("m.amount", "m.asset")}, m.reference, m.cause) END
        WHEN t.type = 'topup_credited' THEN CASE
            WHEN u.id IS NULL THEN 'there is no such top-up'
            WHEN (u.player, u.asset, u.correlation_id) <> (c.owner, t.asset, t.correlation_id)
            THEN format('the top-up is of %s in %s', u.player, u.asset) END
        WHEN t.type IN ('payout_returned', 'payout_given_back') THEN CASE
            WHEN p.id IS NULL THEN 'there is no such payout'
            WHEN (CASE t.credit_kind WHEN 'fx' THEN CAST(p.id AS text) ELSE coalesce(p.player, p.funding_account) END,
                  CASE t.credit_kind WHEN 'fx' THEN p.pay_asset ELSE p.asset END, p.correlation_id)
                 IS DISTINCT FROM (c.owner, t.asset, t.correlation_id)
                 OR t.amount <> CASE t.type WHEN 'payout_returned' THEN p.returned ELSE p.amount END
                 OR (t.type = 'payout_given_back' AND d.owner <> CAST(p.id AS text))
            THEN format('the payout of %s is %s over %s, and %s came back', coalesce(p.player, p.funding_account),
                        p.state, {amount_sql("p.amount", "p.asset")}, {amount_sql("p.returned", "coalesce(p.pay_asset, p.asset)")})
            WHEN t.type = 'payout_returned' AND EXISTS (
                SELECT 1 FROM ledger_journal o WHERE o.correlation_id = t.correlation_id AND o.type = t.type
                AND o.cause = t.cause AND o.debit_kind = t.debit_kind AND o.id <> t.id)
            THEN 'it came back more than once' END
        WHEN t.type = 'prize_reserved' THEN CASE
            WHEN r.id IS NULL THEN 'there is no such round'
            WHEN (CAST(r.campaign AS text), CAST(r.id AS text), r.asset, r.correlation_id)
                 <> (d.owner, c.owner, t.asset, t.correlation_id)
            THEN format('the round is of campaign %s in %s', r.campaign, r.asset) END
        WHEN t.type = 'entry_fee_refunded' THEN CASE
            WHEN e.id IS NULL THEN 'there is no such entry'
            WHEN (e.player, CAST(e.id AS text), e.asset, e.correlation_id) <> (c.owner, d.owner, t.asset, t.correlation_id)
            THEN format('the entry is of %s in %s', e.player, e.asset) END
        END AS wrong
    ) w
    WHERE t.id = ANY (CAST(:ids AS uuid[])) AND t.{DOCUMENTED} AND w.wrong IS NOT NULL
    UNION ALL
    SELECT m.id, format('%s is on record with %s as %s by %s, which was never booked', m.actor,
                        {amount_sql("m.amount", "m.asset")}, m.reference, m.cause)
    FROM money_in m WHERE m.id = ANY (CAST(:ids AS uuid[]))
      AND NOT EXISTS (SELECT 1 FROM ledger_transfers t WHERE t.id = m.id)
    """,
)
