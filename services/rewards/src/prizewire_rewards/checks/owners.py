"""Queries from accounts, transfers and histories to the rows that they belong to, as (name of the subjects, subjects,
breaches). They find deleted rows by what is left in the ledger.
"""

from typing import Final

from prizewire_chassis.assets import amount_sql
from prizewire_rewards.checks.invariants import Invariant


def _uuid(value: str) -> str:
    """SQL of a text as a uuid, NULL where it is none."""
    return f"CASE WHEN pg_input_is_valid({value}, 'uuid') THEN CAST({value} AS uuid) END"


_NAMED: Final = _uuid("split_part(t.cause, '/', 2)")
"""The document that a transfer's cause names: ``round/ID/…``, ``payout/ID``, ``topup/ID/…`` and so on."""

# Wallets need no row: every player may have one. The other kinds that are not named have fixed owners.
_OWNED: Final = f"""
    SELECT a.id, format('%s of %s holds %s, and there is no %s with this id in %s', a.kind, a.owner,
                        {amount_sql("coalesce(a.balance, 0)", "a.asset")}, CASE a.kind
                            WHEN 'pool' THEN 'campaign' WHEN 'claimable' THEN 'campaign' WHEN 'reserved' THEN 'round'
                            WHEN 'payout_pending' THEN 'payout' WHEN 'fx' THEN 'payout' WHEN 'funding' THEN 'funding account' ELSE 'entry' END,
                        a.asset)
    FROM (SELECT *, {_uuid("owner")} AS row_id FROM ledger_accounts WHERE id = ANY (CAST(:ids AS uuid[]))) a
    WHERE NOT CASE
        WHEN a.kind IN ('pool', 'claimable') THEN
            EXISTS (SELECT 1 FROM campaigns x WHERE x.id = a.row_id AND x.asset = a.asset)
        WHEN a.kind = 'reserved' THEN EXISTS (SELECT 1 FROM rounds x WHERE x.id = a.row_id AND x.asset = a.asset)
        WHEN a.kind = 'payout_pending' THEN
            EXISTS (SELECT 1 FROM payouts x WHERE x.id = a.row_id AND a.asset IN (x.asset, x.pay_asset))
        WHEN a.kind = 'fx' THEN EXISTS (
            SELECT 1 FROM payouts x WHERE x.id = a.row_id AND x.pay_asset IS NOT NULL AND a.asset IN (x.asset, x.pay_asset))
        WHEN a.kind IN ('entry_fee_escrow:topup', 'entry_fee_escrow:winnings') THEN
            EXISTS (SELECT 1 FROM entries x WHERE x.id = a.row_id AND x.asset = a.asset)
        WHEN a.kind = 'funding' THEN
            EXISTS (SELECT 1 FROM funding_accounts x WHERE x.name = a.owner AND x.asset = a.asset)
        ELSE true END
"""

_PAYOUT: Final = f"""
    EXISTS (SELECT 1 FROM payouts p WHERE p.id = {_uuid("CASE t.credit_kind WHEN 'payout_pending' THEN c.owner ELSE d.owner END")}
        AND p.correlation_id = t.correlation_id
        AND t.asset = CASE WHEN t.type = 'payout_paid' OR (t.type = 'payout_exchanged' AND t.debit_kind = 'fx')
            OR (t.type = 'payout_exchange_reversed' AND t.credit_kind = 'fx') THEN coalesce(p.pay_asset, p.asset) ELSE p.asset END
        AND CASE t.type
            WHEN 'payout_requested' THEN t.amount = p.amount AND d.owner = coalesce(p.player, p.funding_account)
            WHEN 'payout_given_back' THEN t.amount = p.amount AND c.owner = coalesce(p.player, p.funding_account)
            WHEN 'payout_paid' THEN t.amount = coalesce(p.pay, p.amount - p.fee) AND c.owner = p.rail
            WHEN 'payout_exchanged' THEN c.owner = d.owner
                AND t.amount = CASE t.debit_kind WHEN 'fx' THEN p.pay ELSE p.amount - p.fee END
            WHEN 'payout_exchange_reversed' THEN c.owner = d.owner
                AND t.amount = CASE t.credit_kind WHEN 'fx' THEN p.pay ELSE p.amount - p.fee END
            ELSE t.amount = p.fee END)
"""
_PAID_PAYOUT: Final = f"""
    EXISTS (SELECT 1 FROM payouts p WHERE p.id = {_NAMED} AND p.correlation_id = t.correlation_id AND CASE t.type
        WHEN 'payout_returned' THEN CASE
            WHEN t.credit_kind = 'fx' THEN p.pay_asset = t.asset AND t.amount = p.returned
                AND c.owner = CAST(p.id AS text) AND d.owner = p.rail
            WHEN t.debit_kind = 'fx' THEN p.asset = t.asset
                AND t.amount = div(CAST(p.amount - p.fee AS numeric) * p.returned, CAST(p.pay AS numeric))
                AND c.owner = p.player AND d.owner = CAST(p.id AS text)
            ELSE p.pay_asset IS NULL AND p.asset = t.asset AND t.amount = p.returned
                AND c.owner = coalesce(p.player, p.funding_account) AND d.owner = p.rail END
        ELSE d.owner = p.rail END)
"""
_ENTRY: Final = f"""
    EXISTS (SELECT 1 FROM entries e
        WHERE e.id = {_uuid("CASE t.type WHEN 'entry_fee_held' THEN c.owner ELSE d.owner END")}
        AND (e.asset, e.correlation_id) = (t.asset, t.correlation_id)
        AND t.amount = CASE 'entry_fee_escrow:topup' WHEN t.debit_kind THEN e.from_topup
                                                     WHEN t.credit_kind THEN e.from_topup ELSE e.from_winnings END
        AND CASE t.type WHEN 'entry_fee_held' THEN d.owner = e.player
                        WHEN 'entry_fee_refunded' THEN c.owner = e.player ELSE true END)
"""
_REVERSED_ENTRY: Final = f"""
    EXISTS (SELECT 1 FROM entries e WHERE e.id = {_NAMED} AND e.state = 'refunded'
        AND (e.asset, e.correlation_id) = (t.asset, t.correlation_id)
        AND c.owner = e.player
        AND t.amount = CASE t.credit_kind WHEN 'wallet:topup' THEN e.from_topup ELSE e.from_winnings END)
"""
_FEE_WITHDRAWAL: Final = f"""
    EXISTS (SELECT 1 FROM fee_withdrawals w WHERE w.id = {_NAMED} AND w.asset = t.asset AND w.amount = t.amount
        AND w.state = 'approved' AND t.correlation_id = CAST(w.id AS text))
"""
_TOPUP: Final = f"""
    EXISTS (SELECT 1 FROM topups u WHERE u.id = {_NAMED} AND (u.asset, u.correlation_id) = (t.asset, t.correlation_id)
        AND u.player = CASE t.type WHEN 'topup_credited' THEN c.owner ELSE d.owner END
        AND CASE WHEN t.cause = format('topup/%s', u.id) THEN t.amount = u.credited
            ELSE EXISTS (SELECT 1 FROM topup_reversals v WHERE v.topup_id = u.id AND (
                (t.type = 'topup_reversed' AND t.cause = format('topup/%s/%s/%s', u.id, v.rail, v.reference)
                 AND t.amount = v.taken)
                OR (t.type = 'topup_credited' AND v.won
                    AND t.cause = format('topup/%s/%s/%s/won', u.id, v.rail, v.reference)))) END)
"""
_RECEIVABLE: Final = f"""
    EXISTS (SELECT 1 FROM receivables r WHERE r.id = {_NAMED} AND split_part(t.cause, '/', 1) = 'receivable'
        AND (r.asset, r.correlation_id) = (t.asset, t.correlation_id)
        AND CASE t.type WHEN 'receivable_opened' THEN t.amount = r.amount ELSE t.amount <= r.amount END
        AND CASE t.type WHEN 'receivable_opened' THEN d.owner = r.player
                        WHEN 'receivable_recovered' THEN d.owner = r.player
                            AND CASE t.credit_kind WHEN 'pool' THEN c.owner = CAST(r.campaign AS text)
                                                   ELSE r.campaign IS NULL END
                        WHEN 'receivable_restored' THEN true ELSE c.owner = r.player END)
"""
# ``prizes_as_booked`` compares the amounts of a player's prizes with the ledger, and ``round_money_adds_up`` those of a round.
# This query checks that there is a prize, and that a fee goes to its owner with its amount.
_ORGANIZER_KIND: Final = "CASE WHEN r.organizer_player IS NULL THEN 'fees' ELSE 'wallet:winnings' END"
_ROUND: Final = f"""
    EXISTS (SELECT 1 FROM rounds r WHERE r.id = {_NAMED} AND split_part(t.cause, '/', 1) = 'round'
        AND (r.asset, r.correlation_id) = (t.asset, t.correlation_id)
        AND (t.debit_kind <> 'reserved' OR d.owner = CAST(r.id AS text))
        AND (t.credit_kind <> 'reserved' OR c.owner = CAST(r.id AS text))
        AND (t.debit_kind NOT IN ('pool', 'claimable') OR d.owner = CAST(r.campaign AS text))
        AND (t.credit_kind NOT IN ('pool', 'claimable') OR c.owner = CAST(r.campaign AS text))
        AND CASE t.type
            WHEN 'platform_fee' THEN (c.owner, t.amount) = ('platform', r.platform_fee)
            WHEN 'platform_fee_reversed' THEN (d.owner, t.amount) = ('platform', r.platform_fee)
            WHEN 'organizer_fee' THEN t.amount = r.organizer_fee
                AND (t.credit_kind, c.owner) = ({_ORGANIZER_KIND}, coalesce(r.organizer_player, 'organizer'))
            WHEN 'organizer_fee_reversed' THEN t.amount <= r.organizer_fee
                AND (t.debit_kind, d.owner) = ({_ORGANIZER_KIND}, coalesce(r.organizer_player, 'organizer'))
            ELSE (t.debit_kind NOT LIKE 'wallet:%'
                  OR EXISTS (SELECT 1 FROM rewards w WHERE w.round_id = r.id AND w.settled_at = r.settled_at AND w.player = d.owner))
             AND (t.credit_kind NOT LIKE 'wallet:%'
                  OR EXISTS (SELECT 1 FROM rewards w WHERE w.round_id = r.id AND w.settled_at = r.settled_at AND w.player = c.owner))
            END
        AND (t.type NOT IN ('claim_paid', 'claim_expired', 'claim_rejected')
             OR EXISTS (SELECT 1 FROM claims k WHERE k.reward_id = {_uuid("split_part(t.cause, '/', 4)")}
                        AND k.round_id = r.id)))
"""
_DOCUMENTS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    (
        "payout",
        (
            "payout_requested",
            "payout_exchanged",
            "payout_exchange_reversed",
            "payout_given_back",
            "payout_paid",
            "payout_fee",
        ),
        _PAYOUT,
    ),
    ("paid payout", ("payout_returned", "rail_fee"), _PAID_PAYOUT),
    ("entry", ("entry_fee_held", "entry_fee_refunded", "entry_fee_earned"), _ENTRY),
    ("refunded entry", ("entry_fee_reversed",), _REVERSED_ENTRY),
    ("approved withdrawal of fees", ("fee_withdrawn", "entry_fee_withdrawn"), _FEE_WITHDRAWAL),
    ("top-up", ("topup_credited", "topup_reversed"), _TOPUP),
    (
        "debt",
        (
            "receivable_opened",
            "receivable_recovered",
            "receivable_settled",
            "receivable_written_off",
            "receivable_restored",
        ),
        _RECEIVABLE,
    ),
    (
        "prize",
        (
            "prize_reserved",
            "prize_unclaimed",
            "prize_pending",
            "prize_credited",
            "prize_matured",
            "prize_reversed",
            "prize_released",
            "claim_opened",
            "claim_paid",
            "claim_expired",
            "claim_rejected",
            "platform_fee",
            "organizer_fee",
            "platform_fee_reversed",
            "organizer_fee_reversed",
        ),
        _ROUND,
    ),
)


def _by_type(answers: dict[str, str], *, otherwise: str) -> str:
    whens = " ".join(f"WHEN t.type IN ({types}) THEN {answer}" for types, answer in answers.items())
    return f"CASE {whens} ELSE {otherwise} END"


_TYPES: Final = [
    (", ".join(f"'{name}'" for name in names), document, exists) for document, names, exists in _DOCUMENTS
]
_DOCUMENTED: Final = f"""
    SELECT t.id, format('transfer %s (%s, %s, from %s of %s to %s of %s, because of %s): there is no %s with this amount, '
                        'asset and owner', t.id, t.type, {amount_sql("t.amount", "t.asset")}, t.debit_kind,
                        coalesce(d.owner, 'an account that is missing'), t.credit_kind,
                        coalesce(c.owner, 'an account that is missing'), t.cause,
                        {_by_type({types: f"'{document}'" for types, document, _ in _TYPES}, otherwise="'document'")})
    FROM ledger_journal t
    LEFT JOIN ledger_accounts d ON d.id = t.debit_account LEFT JOIN ledger_accounts c ON c.id = t.credit_account
    WHERE t.id = ANY (CAST(:ids AS uuid[])) AND (d.id IS NULL OR c.id IS NULL
        OR ({_by_type({types: exists for types, _, exists in _TYPES}, otherwise="true")}) IS NOT TRUE)
"""

_HISTORIES: Final = """
    SELECT t.subject, format('the history of %s %s has no %s', t.machine, t.subject, t.machine)
    FROM (SELECT DISTINCT machine, subject FROM transitions WHERE subject = ANY (CAST(:ids AS uuid[]))) t
    WHERE NOT CASE t.machine
        WHEN 'campaign' THEN EXISTS (SELECT 1 FROM campaigns x WHERE x.id = t.subject)
        WHEN 'round' THEN EXISTS (SELECT 1 FROM rounds x WHERE x.id = t.subject)
        WHEN 'payout' THEN EXISTS (SELECT 1 FROM payouts x WHERE x.id = t.subject)
        WHEN 'claim' THEN EXISTS (SELECT 1 FROM claims x WHERE x.reward_id = t.subject)
        WHEN 'entry' THEN EXISTS (SELECT 1 FROM entries x WHERE x.id = t.subject)
        ELSE true END
"""

OWNER_QUESTIONS: Final[dict[Invariant, tuple[str, str, str]]] = {
    Invariant.ACCOUNTS_OWNED: ("accounts", "SELECT id, 1 AS weight FROM ledger_accounts", _OWNED),
    Invariant.TRANSFERS_DOCUMENTED: (
        "transfers",
        "SELECT id, 1 AS weight FROM ledger_transfers",
        _DOCUMENTED,
    ),
    Invariant.HISTORIES_OWNED: (
        "histories",
        "SELECT subject AS id, 1 AS weight FROM transitions GROUP BY subject",
        _HISTORIES,
    ),
}
