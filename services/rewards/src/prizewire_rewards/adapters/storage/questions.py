"""The invariants that are asked about slices of their subjects, as SQL."""

from typing import Final, NamedTuple

from prizewire_rewards.adapters.storage.document_checks import DOCUMENT_QUESTION
from prizewire_rewards.adapters.storage.money_checks import MONEY_QUESTIONS
from prizewire_rewards.domain.invariants import Invariant

__all__ = ["ACCOUNTS", "QUESTIONS", "Question"]


class Question(NamedTuple):
    """An invariant. ``subjects`` selects (id, weight) of what it is about, ``of`` says what those are;
    ``breaches`` selects (id, sentence) among the ``:ids``.
    """

    of: str
    subjects: str
    breaches: str


ACCOUNTS: Final = "SELECT id, 1 AS weight FROM ledger_accounts"
_MACHINES: Final = (
    "SELECT id, 1 AS weight FROM campaigns UNION ALL SELECT id, 1 FROM rounds UNION ALL SELECT id, 1 FROM payouts "
    "UNION ALL SELECT reward_id, 1 FROM claims UNION ALL SELECT id, 1 FROM entries"
)

QUESTIONS: Final[dict[Invariant, Question]] = {
    Invariant.BOUNDS_HOLD: Question(
        "accounts",
        ACCOUNTS,
        """
        SELECT id, format('%s of %s in %s holds %s', kind, owner, asset, balance) FROM ledger_accounts
        WHERE id = ANY (CAST(:ids AS uuid[]))
          AND ((bound = 'floor' AND balance < 0) OR (bound = 'ceiling' AND balance > 0))
        """,
    ),
    # What funds a campaign has the campaign's id as correlation id.
    Invariant.GRANTED_WITHIN_FUNDED: Question(
        "campaigns",
        "SELECT id, 1 AS weight FROM campaigns",
        """
        SELECT c.id, format('campaign %s: funded %s, granted %s, withdrawn %s, the pool holds %s, %s came in, '
                            '%s went out, %s rounds wait of %s', c.id, c.funded, c.granted, c.withdrawn,
                            coalesce(a.balance, 0), f.total, f.out, q.waiting, c.queued)
        FROM campaigns c LEFT JOIN ledger_accounts a ON a.id = c.pool
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(t.amount) FILTER (WHERE t.type = 'campaign_funded'), 0) AS total,
                   coalesce(sum(t.amount) FILTER (WHERE t.type = 'campaign_withdrawn'), 0) AS out
            FROM ledger_transfers t WHERE t.correlation_id = CAST(c.id AS text) AND (
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
        """
        SELECT r.id, format('round %s (%s): reserve %s of %s, lines %s of %s, short %s of %s', r.id, r.state,
                            coalesce(a.balance, 0), x.kept + r.fees, x.total, r.net - r.unclaimed, x.short, r.short)
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
                       WHEN 'final' THEN '{credited,claimable,held,expired,rejected}'::text[]
                       WHEN 'reserved' THEN '{pending,held,rejected}'::text[]
                       WHEN 'voided' THEN '{reversed,rejected}'::text[]
                       ELSE '{unfunded}'::text[] END)
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
    Invariant.CLAIMABLE_IS_OWED: Question(
        "campaigns",
        "SELECT id, 1 AS weight FROM campaigns",
        """
        SELECT c.id, format('campaign %s: %s can be claimed, its claimable prizes make %s', c.id,
                            coalesce(a.balance, 0), x.total)
        FROM campaigns c LEFT JOIN ledger_accounts a
            ON a.kind = 'claimable' AND a.owner = CAST(c.id AS text) AND a.asset = c.asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(w.amount - w.short), 0) AS total FROM rounds r JOIN rewards w ON w.round_id = r.id
            WHERE r.campaign = c.id AND w.state = 'claimable'
        ) x
        WHERE c.id = ANY (CAST(:ids AS uuid[])) AND c.delivery = 'claim' AND coalesce(a.balance, 0) <> x.total
        """,
    ),
    # Every transfer of a round has "round/ID" at the beginning of its cause, those of its claims too.
    Invariant.PRIZES_AS_BOOKED: Question(
        "rounds",
        "SELECT id, lines_total + 1 AS weight FROM rounds",
        """
        SELECT r.id, format('round %s: prizes are credited %s and pending %s, and %s was not taken back; the ledger gave '
                            '%s to winnings and %s to pending', r.id, x.credited, x.pending, d.unpaid, t.won, t.pending)
        FROM rounds r CROSS JOIN LATERAL (
            SELECT coalesce(sum(w.amount - w.short) FILTER (WHERE w.state = 'credited'), 0) AS credited,
                   coalesce(sum(w.amount - w.short) FILTER (WHERE w.state = 'pending'), 0) AS pending
            FROM rewards w WHERE w.round_id = r.id
        ) x CROSS JOIN LATERAL (
            SELECT coalesce(sum(v.amount - v.lifted - v.restored), 0) AS unpaid FROM receivables v
            WHERE v.correlation_id = r.correlation_id AND v.reference = CAST(r.id AS text) AND v.campaign = r.campaign
        ) d CROSS JOIN LATERAL (
            SELECT coalesce(sum(l.amount) FILTER (WHERE l.credit_kind = 'wallet:winnings'), 0)
                   - coalesce(sum(l.amount) FILTER (WHERE l.debit_kind = 'wallet:winnings'), 0) AS won,
                   coalesce(sum(l.amount) FILTER (WHERE l.credit_kind = 'wallet:pending'), 0)
                   - coalesce(sum(l.amount) FILTER (WHERE l.debit_kind = 'wallet:pending'), 0) AS pending
            FROM ledger_transfers l WHERE l.correlation_id = r.correlation_id
              AND split_part(l.cause, '/', 1) = 'round' AND split_part(l.cause, '/', 2) = CAST(r.id AS text)
              AND l.type IN ('prize_pending', 'prize_credited', 'prize_matured', 'prize_reversed', 'claim_opened',
                             'claim_paid')
        ) t
        WHERE r.id = ANY (CAST(:ids AS uuid[])) AND (x.credited + d.unpaid <> t.won OR x.pending <> t.pending)
        """,
    ),
    # An account of what players owe is looked at with its player; that of clearing with all that was ever opened.
    Invariant.RECEIVABLES_ADD_UP: Question(
        "accounts of debts",
        "SELECT id, 1 AS weight FROM ledger_accounts WHERE kind IN ('receivable', 'clearing')",
        """
        SELECT b.id, format('%s of %s in %s holds %s, its receivables make %s', b.kind, b.owner, b.asset, b.balance,
                            x.total)
        FROM ledger_balances b CROSS JOIN LATERAL (
            SELECT coalesce(sum(CASE b.kind WHEN 'receivable' THEN -r.open ELSE r.open + r.written_off - r.restored END), 0) AS total
            FROM receivables r WHERE r.asset = b.asset AND (b.kind = 'clearing' OR r.player = b.owner)
        ) x
        WHERE b.id = ANY (CAST(:ids AS uuid[])) AND b.kind IN ('receivable', 'clearing') AND b.balance <> x.total
        """,
    ),
    Invariant.CLAIMS_CONSISTENT: Question(
        "claims",
        "SELECT reward_id AS id, 1 AS weight FROM claims",
        """
        SELECT c.reward_id, format('the claim of %s by %s is %s, the prize %s', c.reward_id, c.player, c.state, w.state)
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
        """
        SELECT c.id, format('campaign %s: %s of %s %s counts %s, its prizes make %s', c.id, b.cap, b.player, b.day,
                            b.used, b.total)
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
        SELECT w.id, format('reward %s of %s and payout %s do not fit, it has %s of %s', w.id, w.player, w.payout_id,
                            n.payouts, w.payout_ordinal)
        FROM rewards w LEFT JOIN payouts p ON p.id = w.payout_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS payouts FROM payouts o WHERE o.round_id = w.round_id AND o.player = w.player
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
        """
        SELECT p.id, format('payout %s is %s over %s with a fee of %s, and holds %s; %s went to its rail, %s to the fees',
                            p.id, p.state, p.amount, p.fee, coalesce(a.balance, 0), t.paid, t.fee)
        FROM payouts p LEFT JOIN ledger_accounts a
            ON a.kind = 'payout_pending' AND a.owner = CAST(p.id AS text) AND a.asset = p.asset
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE type = 'payout_paid'), 0) AS paid,
                   coalesce(sum(amount) FILTER (WHERE type = 'payout_fee'), 0) AS fee
            FROM ledger_transfers WHERE p.round_id IS NULL AND correlation_id = p.correlation_id AND debit_account = a.id
        ) t
        WHERE p.id = ANY (CAST(:ids AS uuid[]))
          AND (coalesce(a.balance, 0) <>
               CASE WHEN p.state IN ('requested', 'cancel_requested') THEN p.amount ELSE 0 END
               OR (p.round_id IS NOT NULL AND p.fee <> 0)
               OR (p.round_id IS NULL AND p.state IN ('paid', 'returned') AND (t.paid <> p.amount - p.fee OR t.fee <> p.fee))
               OR (p.round_id IS NULL AND p.state NOT IN ('paid', 'returned') AND t.paid + t.fee <> 0)
               OR (p.player IS NULL) <> (p.funding_account IS NOT NULL)
               OR (p.state IN ('paid', 'returned')) <> (p.rail IS NOT NULL)
               OR (p.state = 'returned') <> (p.returned > 0))
        """,
    ),
    **{name: Question(*asked) for name, asked in MONEY_QUESTIONS.items()},
    Invariant.MONEY_IS_DOCUMENTED: Question(*DOCUMENT_QUESTION),
    Invariant.TRANSITIONS_UNBROKEN: Question(
        "campaigns, rounds, payouts, claims and entries",
        _MACHINES,
        """
        SELECT s.id, format('%s %s is %s, its history ends in %s', s.machine, s.id, s.state, t.to_state)
        FROM (
            SELECT 'campaign' AS machine, id, state FROM campaigns
            UNION ALL SELECT 'round', id, state FROM rounds
            UNION ALL SELECT 'payout', id, state FROM payouts
            UNION ALL SELECT 'claim', reward_id, state FROM claims
            UNION ALL SELECT 'entry', id, state FROM entries
        ) s LEFT JOIN LATERAL (
            SELECT to_state FROM transitions WHERE subject = s.id ORDER BY id DESC LIMIT 1
        ) t ON true
        WHERE s.id = ANY (CAST(:ids AS uuid[])) AND t.to_state IS DISTINCT FROM s.state
        """,
    ),
}
