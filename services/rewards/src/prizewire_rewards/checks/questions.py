"""The invariants that are checked slice by slice, as SQL."""

from typing import Final, NamedTuple

from prizewire_chassis.assets import amount_sql
from prizewire_rewards.assignments.storage import IN_FORCE
from prizewire_rewards.checks.debts import DEBT_QUESTIONS
from prizewire_rewards.checks.disownments import DISOWNMENT_QUESTION
from prizewire_rewards.checks.documents import DOCUMENT_QUESTION
from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.checks.money import MONEY_QUESTIONS
from prizewire_rewards.checks.owners import OWNER_QUESTIONS
from prizewire_rewards.checks.rounds import ROUND_QUESTION
from prizewire_rewards.prizes.storage.views import LINES_DIGEST


class Question(NamedTuple):
    """An invariant. ``subjects`` selects (id, weight) of its subjects, and ``of`` is their name. ``breaches`` selects
    (id, sentence) of the subjects ``:ids``.
    """

    of: str
    subjects: str
    breaches: str


ACCOUNTS: Final = "SELECT id, 1 AS weight FROM ledger_accounts"
_MACHINES: Final = (
    "SELECT id, 1 AS weight FROM campaigns UNION ALL SELECT id, 1 FROM rounds UNION ALL SELECT id, 1 FROM payouts "
    "UNION ALL SELECT reward_id, 1 FROM claims UNION ALL SELECT id, 1 FROM entries"
)

PAYOUTS_SIGNED: Final = Question("payouts", "SELECT id, 1 AS weight FROM payouts", "")
"""The payouts whose stored intents are verified. No SQL verifies a signature."""

QUESTIONS: Final[dict[Invariant, Question]] = {
    Invariant.BOUNDS_HOLD: Question(
        "accounts",
        ACCOUNTS,
        f"""
        SELECT id, format('%s of %s holds %s', kind, owner, {amount_sql("balance", "asset")}) FROM ledger_accounts
        WHERE id = ANY (CAST(:ids AS uuid[]))
          AND ((bound = 'floor' AND balance < 0) OR (bound = 'ceiling' AND balance > 0))
        """,
    ),
    # Fundings have the campaign's id as correlation id.
    Invariant.GRANTED_WITHIN_FUNDED: Question(
        "campaigns",
        "SELECT id, 1 AS weight FROM campaigns",
        f"""
        SELECT c.id, format('campaign %s: funded %s, granted %s, withdrawn %s, the pool holds %s, %s came in, '
                            '%s went out, %s rounds wait of %s', c.id, {amount_sql("c.funded", "c.asset")},
                            {amount_sql("c.granted", "c.asset")}, {amount_sql("c.withdrawn", "c.asset")},
                            {amount_sql("coalesce(a.balance, 0)", "c.asset")}, {amount_sql("f.total", "c.asset")},
                            {amount_sql("f.out", "c.asset")}, q.waiting, c.queued)
        FROM campaigns c LEFT JOIN ledger_accounts a ON a.id = c.pool
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(t.amount) FILTER (WHERE t.type = 'campaign_funded'), 0) AS total,
                   coalesce(sum(t.amount) FILTER (WHERE t.type = 'campaign_withdrawn'), 0) AS out
            FROM ledger_journal t WHERE t.correlation_id = CAST(c.id AS text) AND (
                (t.type = 'campaign_funded' AND t.credit_account = c.pool)
                OR (t.type = 'campaign_withdrawn' AND t.debit_account = c.pool))
        ) f
        CROSS JOIN LATERAL (
            SELECT count(*) AS waiting FROM rounds r WHERE r.campaign = c.id AND r.queue_position IS NOT NULL
        ) q
        WHERE c.id = ANY (CAST(:ids AS uuid[]))
          AND (c.granted > c.funded OR c.granted < 0 OR c.funded <> f.total
               OR c.withdrawn <> f.out OR c.funded - c.granted - c.withdrawn <> coalesce(a.balance, 0)
               OR q.waiting <> c.queued)
        """,
    ),
    Invariant.ROUNDS_ADD_UP: Question(
        "rounds",
        "SELECT id, lines_total + 1 AS weight FROM rounds",
        f"""
        SELECT r.id, format('round %s (%s): its reserve holds %s and should hold %s; its %s lines of %s make %s and should '
                            'make %s; its lines wait for %s, the round for %s; %s lines are in a state that does not fit',
                            r.id, r.state, {amount_sql("coalesce(a.balance, 0)", "r.asset")},
                            {amount_sql("x.kept + r.fees", "r.asset")}, x.standing, r.lines_total,
                            {amount_sql("x.total", "r.asset")}, {amount_sql("r.net - r.unclaimed", "r.asset")},
                            {amount_sql("x.short", "r.asset")}, {amount_sql("r.short", "r.asset")}, x.astray + x.strays)
        FROM (
            SELECT *, CASE state WHEN 'reserved' THEN platform_fee + organizer_fee ELSE 0 END AS fees FROM rounds
        ) r LEFT JOIN ledger_accounts a
            ON a.kind = 'reserved' AND a.owner = CAST(r.id AS text) AND a.asset = r.asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(w.amount) FILTER (WHERE w.line > 0), 0) AS total,
                   count(DISTINCT w.line) FILTER (WHERE w.line > 0) AS lines,
                   count(*) FILTER (WHERE w.line > 0) AS standing,
                   coalesce(sum(w.amount - w.short) FILTER (WHERE w.state = 'held'), 0) AS kept,
                   coalesce(sum(w.short) FILTER (WHERE w.line > 0), 0) AS short,
                   count(*) FILTER (WHERE w.line < 0 AND w.state NOT IN ('reversed', 'expired', 'rejected')) AS strays,
                   count(*) FILTER (WHERE w.line > 0 AND NOT w.state = ANY (CASE r.state
                       WHEN 'final' THEN '{{credited,claimable,held,expired,rejected}}'::text[]
                       WHEN 'reserved' THEN '{{pending,held,rejected}}'::text[]
                       WHEN 'voided' THEN '{{reversed,rejected,expired}}'::text[]
                       ELSE '{{unfunded}}'::text[] END)
                       AND NOT (w.state = 'unfunded' AND w.short = w.amount AND r.state IN ('reserved', 'final'))
                   ) AS astray
            FROM rewards w WHERE w.round_id = r.id
        ) x
        WHERE r.id = ANY (CAST(:ids AS uuid[])) AND CASE
            WHEN r.state = 'booking' THEN coalesce(a.balance, 0) < x.kept
            ELSE coalesce(a.balance, 0) <> x.kept + r.fees OR (
                NOT EXISTS (SELECT 1 FROM round_work k WHERE k.round_id = r.id)
                AND (x.total <> r.net - r.unclaimed OR x.lines <> r.lines_total OR x.standing <> x.lines
                     OR x.astray > 0 OR x.strays > 0 OR x.short <> r.short)
            ) END
        """,
    ),
    Invariant.LINES_AS_SETTLED: Question(
        "rounds",
        "SELECT id, lines_total + 1 AS weight FROM rounds",
        f"""
        SELECT r.id, format('round %s: its prizes make the digest %s, settlement %s sent %s', r.id, d.made,
                            r.settlement_version, r.digest)
        FROM rounds r CROSS JOIN LATERAL (SELECT {LINES_DIGEST} AS made) d
        WHERE r.id = ANY (CAST(:ids AS uuid[])) AND r.state <> 'voided'
          AND NOT EXISTS (SELECT 1 FROM round_work k WHERE k.round_id = r.id) AND d.made <> r.digest
        """,
    ),
    Invariant.CLAIMABLE_IS_OWED: Question(
        "campaigns",
        "SELECT id, 1 AS weight FROM campaigns",
        f"""
        SELECT c.id, format('campaign %s: %s can be claimed, its claimable prizes with an open claim make %s', c.id,
                            {amount_sql("coalesce(a.balance, 0)", "c.asset")}, {amount_sql("x.total", "c.asset")})
        FROM campaigns c LEFT JOIN ledger_accounts a
            ON a.kind = 'claimable' AND a.owner = CAST(c.id AS text) AND a.asset = c.asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(w.amount - w.short), 0) AS total FROM rounds r JOIN rewards w ON w.round_id = r.id
            JOIN claims k ON k.reward_id = w.id AND k.state IN ('open', 'held')
            WHERE r.campaign = c.id AND w.state = 'claimable'
        ) x
        WHERE c.id = ANY (CAST(:ids AS uuid[])) AND c.delivery = 'claim' AND coalesce(a.balance, 0) <> x.total
        """,
    ),
    # The cause of every transfer of a round and of its claims begins with "round/ID". A player whose sums
    # agree is left out, so a round has a row for each player who was changed.
    Invariant.PRIZES_AS_BOOKED: Question(
        "rounds",
        "SELECT id, lines_total + 1 AS weight FROM rounds",
        f"""
        SELECT r.id, format('round %s: prizes of %s are credited %s and pending %s, and %s was not taken back; the ledger '
                            'gave %s to winnings and %s to pending', r.id, x.player, {amount_sql("x.credited", "r.asset")},
                            {amount_sql("x.pending", "r.asset")}, {amount_sql("x.unpaid", "r.asset")},
                            {amount_sql("x.won", "r.asset")}, {amount_sql("x.waiting", "r.asset")})
        FROM rounds r CROSS JOIN LATERAL (
            SELECT s.player, sum(s.credited) AS credited, sum(s.pending) AS pending, sum(s.unpaid) AS unpaid,
                   sum(s.won) AS won, sum(s.waiting) AS waiting
            FROM (
                SELECT w.player, CASE w.state WHEN 'credited' THEN w.amount - w.short ELSE 0 END AS credited,
                       CASE w.state WHEN 'pending' THEN w.amount - w.short ELSE 0 END AS pending,
                       0 AS unpaid, 0 AS won, 0 AS waiting
                FROM rewards w WHERE w.round_id = r.id AND w.state IN ('credited', 'pending')
                UNION ALL
                SELECT v.player, 0, 0, v.amount - v.lifted - v.restored, 0, 0 FROM receivables v
                WHERE v.correlation_id = r.correlation_id AND v.reference = CAST(r.id AS text) AND v.campaign = r.campaign
                UNION ALL
                SELECT g.owner, 0, 0, 0, CASE g.kind WHEN 'wallet:winnings' THEN l.delta ELSE 0 END,
                       CASE g.kind WHEN 'wallet:pending' THEN l.delta ELSE 0 END
                FROM ledger_journal t
                CROSS JOIN LATERAL (VALUES (t.credit_account, t.amount), (t.debit_account, -t.amount)) l(account, delta)
                JOIN ledger_accounts g ON g.id = l.account AND g.kind IN ('wallet:winnings', 'wallet:pending')
                WHERE t.correlation_id = r.correlation_id
                  AND split_part(t.cause, '/', 1) = 'round' AND split_part(t.cause, '/', 2) = CAST(r.id AS text)
                  AND t.type IN ('prize_pending', 'prize_credited', 'prize_matured', 'prize_reversed', 'claim_opened',
                                 'claim_paid')
            ) s GROUP BY s.player
            HAVING sum(s.credited) + sum(s.unpaid) <> sum(s.won) OR sum(s.pending) <> sum(s.waiting)
        ) x
        WHERE r.id = ANY (CAST(:ids AS uuid[]))
        """,
    ),
    Invariant.CLAIMS_CONSISTENT: Question(
        "claims",
        "SELECT reward_id AS id, 1 AS weight FROM claims",
        """
        SELECT c.reward_id, format('the claim of prize %s by %s is %s, the prize is %s', c.reward_id, c.player, c.state,
                                   coalesce(format('%s and of %s', w.state, w.player), 'missing'))
        FROM claims c LEFT JOIN rewards w ON w.id = c.reward_id
        WHERE c.reward_id = ANY (CAST(:ids AS uuid[]))
          AND (w.id IS NULL OR w.player <> c.player OR w.round_id <> c.round_id
               OR (c.state IN ('open', 'held')) <> (w.state = 'claimable')
               OR (c.state = 'expired') <> (w.state = 'expired'))
        """,
    ),
    Invariant.CAPS_ADD_UP: Question(
        "campaigns",
        "SELECT id, 1 AS weight FROM campaigns",
        f"""
        SELECT c.id, format('campaign %s: %s of %s %s counts %s, its prizes make %s', c.id, b.cap,
                            CASE b.player WHEN '' THEN 'all players' ELSE b.player END,
                            CASE b.day WHEN '' THEN 'for all days' ELSE 'on ' || b.day END,
                            {amount_sql("b.used", "c.asset")}, {amount_sql("b.total", "c.asset")})
        FROM campaigns c CROSS JOIN LATERAL (
            SELECT coalesce(u.cap, s.cap) AS cap, coalesce(u.player, s.player) AS player,
                   coalesce(u.day, s.day) AS day, coalesce(u.used, 0) AS used, coalesce(s.total, 0) AS total
            FROM (SELECT * FROM cap_usage WHERE campaign = c.id) u FULL JOIN (
                SELECT k.cap, k.player, k.day, sum(l.amount) AS total FROM cap_lines l CROSS JOIN LATERAL (VALUES
                    ('cap_player', l.player, ''), ('cap_player_day', l.player, CAST(l.day AS text)),
                    ('cap_campaign_day', '', CAST(l.day AS text)), ('cap_campaign', '', '')) AS k(cap, player, day)
                WHERE l.campaign = c.id GROUP BY k.cap, k.player, k.day
            ) s ON s.cap = u.cap AND s.player = u.player AND s.day = u.day
            WHERE coalesce(u.used, 0) <> coalesce(s.total, 0) LIMIT 1
        ) b
        WHERE c.id = ANY (CAST(:ids AS uuid[])) AND c.capped
        """,
    ),
    Invariant.ONE_PAYOUT_PER_REWARD: Question(
        "prizes",
        "SELECT id, 1 AS weight FROM rewards",
        """
        SELECT w.id, format('reward %s of %s and payout %s do not fit: %s; it has %s payouts and should have %s', w.id,
                            w.player, w.payout_id, CASE WHEN p.id IS NULL THEN 'the payout is missing'
                            ELSE format('the payout is of %s', coalesce(p.player, 'nobody')) END,
                            n.payouts, w.payout_ordinal)
        FROM rewards w LEFT JOIN payouts p ON p.id = w.payout_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS payouts FROM payouts o
            WHERE o.round_id = w.round_id AND o.player = w.player AND o.retry_of IS NULL
        ) n
        WHERE w.id = ANY (CAST(:ids AS uuid[])) AND w.payout_id IS NOT NULL
          AND (p.id IS NULL OR p.player <> w.player OR p.asset <> w.asset
               OR (p.amount > w.amount AND w.settlement_version = 1) OR p.round_id IS DISTINCT FROM w.round_id
               OR n.payouts <> w.payout_ordinal)
        """,
    ),
    # A directly delivered prize shares its correlation id with a whole round, bears no fee, and is not followed further.
    Invariant.PAYOUTS_CONSISTENT: Question(
        "payouts",
        "SELECT id, 1 AS weight FROM payouts",
        f"""
        SELECT p.id, format('payout %s is %s over %s with a fee of %s, and holds %s; %s went to its rail, %s to the fees',
                            p.id, p.state, {amount_sql("p.amount", "p.asset")}, {amount_sql("p.fee", "p.asset")},
                            {amount_sql("coalesce(a.balance, 0)", "p.asset")},
                            {amount_sql("t.paid", "coalesce(p.pay_asset, p.asset)")}, {amount_sql("t.fee", "p.asset")})
        FROM payouts p LEFT JOIN ledger_accounts a
            ON a.kind = 'payout_pending' AND a.owner = CAST(p.id AS text) AND a.asset = p.asset
        LEFT JOIN ledger_accounts b
            ON b.kind = 'payout_pending' AND b.owner = CAST(p.id AS text) AND b.asset = p.pay_asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE type = 'payout_paid'), 0) AS paid,
                   coalesce(sum(amount) FILTER (WHERE type = 'payout_fee'), 0) AS fee
            FROM ledger_journal WHERE p.round_id IS NULL AND correlation_id = p.correlation_id AND debit_account IN (a.id, b.id)
        ) t
        WHERE p.id = ANY (CAST(:ids AS uuid[]))
          AND (coalesce(a.balance, 0) <>
               CASE WHEN p.state NOT IN ('requested', 'cancel_requested') THEN 0
                    WHEN p.pay IS NOT NULL THEN p.fee ELSE p.amount END
               OR coalesce(b.balance, 0) <>
               CASE WHEN p.state IN ('requested', 'cancel_requested') THEN coalesce(p.pay, 0) ELSE 0 END
               OR (p.round_id IS NOT NULL AND p.fee <> 0)
               OR (p.round_id IS NULL AND p.state IN ('paid', 'returned') AND (t.paid <> coalesce(p.pay, p.amount - p.fee) OR t.fee <> p.fee))
               OR (p.round_id IS NULL AND p.state NOT IN ('paid', 'returned') AND t.paid + t.fee <> 0)
               OR (p.player IS NULL) <> (p.funding_account IS NOT NULL)
               OR (p.state IN ('paid', 'returned')) <> (p.rail IS NOT NULL)
               OR (p.state = 'returned') <> (p.returned > 0))
        """,
    ),
    Invariant.EXCHANGES_ADD_UP: Question(
        "exchanged payouts",
        "SELECT id, 1 AS weight FROM payouts WHERE pay_asset IS NOT NULL",
        f"""
        SELECT p.id, format('payout %s is %s: it exchanged %s for %s, %s came back, and its exchange holds %s and %s', p.id,
                            p.state, {amount_sql("p.amount - p.fee", "p.asset")}, {amount_sql("p.pay", "p.pay_asset")},
                            {amount_sql("p.returned", "p.pay_asset")}, {amount_sql("d.balance", "p.asset")},
                            {amount_sql("c.balance", "p.pay_asset")})
        FROM payouts p
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(x.balance), 0) AS balance FROM ledger_balances x
            WHERE x.kind = 'fx' AND x.owner = CAST(p.id AS text) AND x.asset = p.asset
        ) d
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(x.balance), 0) AS balance FROM ledger_balances x
            WHERE x.kind = 'fx' AND x.owner = CAST(p.id AS text) AND x.asset = p.pay_asset
        ) c
        WHERE p.id = ANY (CAST(:ids AS uuid[])) AND p.pay_asset IS NOT NULL AND (d.balance, c.balance) <> (
            CASE WHEN p.state IN ('failed', 'rejected', 'cancelled') THEN 0 ELSE p.amount - p.fee
                - div(CAST(p.amount - p.fee AS numeric) * p.returned, CAST(p.pay AS numeric)) END,
            CASE WHEN p.state IN ('failed', 'rejected', 'cancelled') THEN 0 ELSE p.returned - p.pay END)
        """,
    ),
    Invariant.PAYEES_ASSIGNED: Question(
        "payouts",
        "SELECT id, 1 AS weight FROM payouts",
        f"""
        SELECT p.id, format('payout %s of %s names %s, and by the assignment in force at its request it is %s', p.id, p.player,
                            coalesce('the payee ' || p.payee, 'no payee'), coalesce('the payee ' || a.payee, 'no payee'))
        FROM payouts p LEFT JOIN payee_assignments a ON a.player = p.player AND {IN_FORCE.format(at="p.requested_at")}
        WHERE p.id = ANY (CAST(:ids AS uuid[])) AND p.player IS NOT NULL
          AND ((a.id, a.payee) IS DISTINCT FROM (p.assignment, p.payee)
               OR p.assigners <> CASE WHEN a.id IS NULL THEN '[]' ELSE jsonb_build_array(a.proposed_by, a.confirmed_by) END)
        """,
    ),
    Invariant.RETRIES_FIT: Question(
        "payouts",
        "SELECT id, 1 AS weight FROM payouts",
        f"""
        SELECT p.id, format('payout %s over %s of %s retries payout %s, which is %s over %s of %s', p.id,
                            {amount_sql("p.amount", "p.asset")}, coalesce(p.player, p.funding_account), p.retry_of,
                            coalesce(o.state, 'missing'), {amount_sql("coalesce(b.amount, 0)", "p.asset")},
                            coalesce(o.player, o.funding_account))
        FROM payouts p LEFT JOIN payouts o ON o.id = p.retry_of
        CROSS JOIN LATERAL (
            SELECT CASE o.state WHEN 'returned' THEN o.returned ELSE o.amount END AS amount
        ) b
        WHERE p.id = ANY (CAST(:ids AS uuid[])) AND p.retry_of IS NOT NULL
          AND (o.id IS NULL OR o.state NOT IN ('failed', 'rejected', 'cancelled', 'returned') OR o.asset <> p.asset
               OR (o.player, o.funding_account) IS DISTINCT FROM (p.player, p.funding_account) OR p.amount <> b.amount)
        """,
    ),
    Invariant.INLINE_OWN: Question(
        "payouts to details of their requests",
        "SELECT id, 1 AS weight FROM payouts WHERE inline_type IS NOT NULL",
        """
        SELECT p.id, format('payout %s goes to method %s of its own request, which is that of %s too', p.id, p.method_id,
                            coalesce('payout ' || o.id, 'a registered method'))
        FROM payouts p
        LEFT JOIN payout_methods m ON m.id = p.method_id
        LEFT JOIN payouts o ON o.method_id = p.method_id AND o.inline_type IS NOT NULL AND o.retry_of IS NULL AND o.id <> p.id
            AND p.retry_of IS NULL
        WHERE p.id = ANY (CAST(:ids AS uuid[])) AND p.inline_type IS NOT NULL AND (m.id IS NOT NULL OR o.id IS NOT NULL)
        UNION ALL
        SELECT p.id, format('payout %s retries payout %s at the details of its request, but that one went to another destination',
                            p.id, p.retry_of)
        FROM payouts p LEFT JOIN payouts b ON b.id = p.retry_of
        WHERE p.id = ANY (CAST(:ids AS uuid[])) AND p.inline_type IS NOT NULL AND p.retry_of IS NOT NULL
          AND (b.method_id, b.inline_type, b.inline_mark) IS DISTINCT FROM (p.method_id, p.inline_type, p.inline_mark)
        """,
    ),
    Invariant.BATCHES_WHOLE: Question(
        "batches",
        "SELECT id, lines AS weight FROM payout_batches",
        f"""
        SELECT b.id, format('batch %s has %s lines over %s, but %s payouts over %s of its account and filer', b.id, b.lines,
                            {amount_sql("b.total", "f.asset")}, coalesce(s.lines, 0), {amount_sql("coalesce(s.total, 0)", "f.asset")})
        FROM payout_batches b JOIN funding_accounts f ON f.name = b.funding_account
        LEFT JOIN LATERAL (
            SELECT count(*) AS lines, sum(p.amount) AS total, min(p.batch_line) AS first, max(p.batch_line) AS last
            FROM payouts p WHERE p.batch_id = b.id AND p.funding_account = b.funding_account AND p.filed_by = b.filed_by
        ) s ON true
        WHERE b.id = ANY (CAST(:ids AS uuid[])) AND (s.lines, s.total, s.first, s.last) IS DISTINCT FROM (b.lines, b.total, 1, b.lines)
        """,
    ),
    Invariant.ROUND_MONEY: Question(*ROUND_QUESTION),
    **{
        name: Question(*asked) for name, asked in (MONEY_QUESTIONS | DEBT_QUESTIONS | OWNER_QUESTIONS).items()
    },
    Invariant.DISOWNED_GONE: Question(*DISOWNMENT_QUESTION),
    Invariant.MONEY_IS_DOCUMENTED: Question(*DOCUMENT_QUESTION),
    Invariant.TRANSITIONS_UNBROKEN: Question(
        "campaigns, rounds, payouts, claims and entries",
        _MACHINES,
        """
        SELECT s.id, format('%s %s is %s, its history %s', s.machine, s.id, s.state,
                            CASE WHEN t.gaps THEN 'has a gap: a step is missing or was changed'
                                 ELSE coalesce('ends in ' || t.to_state, 'is missing') END)
        FROM (
            SELECT 'campaign' AS machine, id, state FROM campaigns
            UNION ALL SELECT 'round', id, state FROM rounds
            UNION ALL SELECT 'payout', id, state FROM payouts
            UNION ALL SELECT 'claim', reward_id, state FROM claims
            UNION ALL SELECT 'entry', id, state FROM entries
        ) s LEFT JOIN LATERAL (
            SELECT (array_agg(h.to_state ORDER BY h.id DESC))[1] AS to_state, bool_or(h.from_state <> h.before) AS gaps
            FROM (SELECT id, from_state, to_state, lag(to_state, 1, '') OVER (ORDER BY id) AS before
                  FROM transitions WHERE subject = s.id AND machine = s.machine) h
        ) t ON true
        WHERE s.id = ANY (CAST(:ids AS uuid[])) AND (t.to_state IS DISTINCT FROM s.state OR t.gaps)
        """,
    ),
}
