"""Queries about debts, as (name of the subjects, subjects, breaches)."""

from typing import Final

from prizewire_chassis.assets import amount_sql
from prizewire_rewards.checks.invariants import Invariant

DEBT_GROUPS: Final = "cause LIKE 'receivable/%'"
"""Predicate of the partial index of the groups of debts. A query uses the index if it repeats the predicate word for word."""

_RECEIVABLES: Final = "SELECT id, 1 AS weight FROM receivables"
# An account of receivables is checked with its player, the account ``clearing`` with all receivables. The cause of every
# transfer of a debt begins with "receivable/ID".
_SUMS: Final = f"""
    SELECT b.id, format('%s of %s holds %s, its receivables make %s', b.kind, b.owner,
                        {amount_sql("b.balance", "b.asset")}, {amount_sql("x.total", "b.asset")})
    FROM ledger_balances b CROSS JOIN LATERAL (
        SELECT coalesce(sum(CASE b.kind WHEN 'receivable' THEN -r.open ELSE r.open + r.written_off - r.restored END), 0) AS total
        FROM receivables r WHERE r.asset = b.asset AND (b.kind = 'clearing' OR r.player = b.owner)
    ) x
    WHERE b.id = ANY (CAST(:ids AS uuid[])) AND b.kind IN ('receivable', 'clearing') AND b.balance <> x.total
    UNION ALL
    SELECT r.id, format('debt %s of %s: %s, of it %s recovered, %s lifted, %s written off, %s restored; the ledger opened %s, '
                        'recovered %s, settled %s, wrote off %s, restored %s', r.id, r.player,
                        {amount_sql("r.amount", "r.asset")}, {amount_sql("r.recovered", "r.asset")},
                        {amount_sql("r.lifted", "r.asset")}, {amount_sql("r.written_off", "r.asset")},
                        {amount_sql("r.restored", "r.asset")}, {amount_sql("l.opened", "r.asset")},
                        {amount_sql("l.recovered", "r.asset")}, {amount_sql("l.settled", "r.asset")},
                        {amount_sql("l.written_off", "r.asset")}, {amount_sql("l.restored", "r.asset")})
    FROM receivables r CROSS JOIN LATERAL (
        SELECT coalesce(sum(t.amount) FILTER (WHERE t.type = 'receivable_opened'), 0) AS opened,
               coalesce(sum(t.amount) FILTER (WHERE t.type = 'receivable_recovered'), 0) AS recovered,
               coalesce(sum(t.amount) FILTER (WHERE t.type = 'receivable_settled'), 0) AS settled,
               coalesce(sum(t.amount) FILTER (WHERE t.type = 'receivable_written_off'), 0) AS written_off,
               coalesce(sum(t.amount) FILTER (WHERE t.type = 'receivable_restored'), 0) AS restored
        FROM ledger_groups g JOIN ledger_transfers t ON t.group_no = g.no
        WHERE g.{DEBT_GROUPS} AND split_part(g.cause, '/', 2) = CAST(r.id AS text)
    ) l
    WHERE r.id = ANY (CAST(:ids AS uuid[]))
      AND (l.opened, l.recovered, l.settled, l.written_off, l.restored)
          <> (r.amount, r.recovered, r.recovered + r.lifted, r.written_off, r.restored)
"""

# ``prizes_as_booked`` compares what a round's debts and prizes make together with the ledger, for each player.
_PRIZE: Final = """
    (SELECT 1 FROM rewards w WHERE w.round_id = r.id AND w.settled_at = r.settled_at AND w.player = v.player {more})
"""
_ROUND: Final = "(v.campaign, v.asset, v.correlation_id) = (r.campaign, r.asset, r.correlation_id)"
_REASONS: Final = f"""
    SELECT v.id, format('debt %s of %s over %s, because of %s (%s): there is no such correction, disownment or reversal with '
                        'this player and amount', v.id, v.player, {amount_sql("v.amount", "v.asset")}, v.cause, v.reference)
    FROM (
        SELECT *, split_part(cause, '/', 1) AS reason, CASE WHEN pg_input_is_valid(split_part(cause, '/', 2), 'uuid')
                   THEN CAST(split_part(cause, '/', 2) AS uuid) END AS document
        FROM receivables WHERE id = ANY (CAST(:ids AS uuid[]))
    ) v LEFT JOIN rounds r ON r.id = v.document AND v.reason <> 'topup'
    WHERE (CASE
        WHEN v.reason = 'correction' THEN {_ROUND} AND v.reference = CAST(r.id AS text) AND v.amount <= r.net
            AND EXISTS {_PRIZE.format(more="")}
            AND EXISTS (SELECT 1 FROM corrections c WHERE c.round_id = r.id
                        AND c.settlement_version <= r.settlement_version
                        AND v.cause = format('correction/%s/%s', c.round_id, c.settlement_version))
        WHEN v.reason = 'disownment' THEN {_ROUND}
            AND EXISTS (SELECT 1 FROM round_disownments d WHERE d.round_id = r.id AND d.state = 'approved')
            AND CASE v.cause
                WHEN format('disownment/%s', r.id) THEN v.reference = CAST(r.id AS text)
                    AND EXISTS {_PRIZE.format(more="AND w.state = 'reversed' AND w.amount >= v.amount")}
                WHEN format('disownment/%s/organizer-fee', r.id) THEN
                    (v.reference, v.player) = (format('%s/organizer-fee', r.id), r.organizer_player)
                    AND v.amount <= r.organizer_fee AND v.lifted + v.restored = 0 END
        WHEN v.reason = 'topup' THEN v.campaign IS NULL AND EXISTS (
            SELECT 1 FROM topups u JOIN topup_reversals x ON x.topup_id = u.id
            WHERE u.id = v.document AND (u.player, u.asset, u.correlation_id) = (v.player, v.asset, v.correlation_id)
              AND x.receivable_id = v.id AND (x.owed, x.reference) = (v.amount, v.reference)
              AND x.lifted = v.lifted + v.restored AND v.cause = format('topup/%s/%s/%s', u.id, x.rail, x.reference))
        END) IS NOT TRUE
"""

DEBT_QUESTIONS: Final[dict[Invariant, tuple[str, str, str]]] = {
    Invariant.RECEIVABLES_ADD_UP: (
        "debts and their accounts",
        f"SELECT id, 1 AS weight FROM ledger_accounts WHERE kind IN ('receivable', 'clearing') UNION ALL {_RECEIVABLES}",
        _SUMS,
    ),
    Invariant.DEBTS_HAVE_REASONS: ("debts", _RECEIVABLES, _REASONS),
}
