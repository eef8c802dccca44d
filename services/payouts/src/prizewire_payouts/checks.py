"""What must hold among payouts, attempts and their histories, at any moment. Each answers its breaches."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_money import Amount, Asset
from prizewire_payouts.payouts.adapters import read_intent
from prizewire_payouts.payouts.domain.invariants import Invariant
from prizewire_payouts.payouts.handlers.submission import request_hash

_OPEN = "('submitting', 'pending', 'unknown')"
_OPEN_ATTEMPT = "('opened', 'sent', 'accepted', 'ambiguous')"
_ONE_EFFECT = text(
    "SELECT p.payout_id, p.state, count(a.attempt_no) FILTER (WHERE a.state = 'effected') AS effected, "
    "count(a.attempt_no) FILTER (WHERE a.state = 'reversed') AS reversed "
    "FROM payouts p LEFT JOIN attempts a USING (payout_id) GROUP BY p.payout_id "
    "HAVING count(a.attempt_no) FILTER (WHERE a.state = 'effected') <> CASE WHEN p.state = 'paid' THEN 1 ELSE 0 END "
    "OR count(a.attempt_no) FILTER (WHERE a.state = 'reversed') <> CASE WHEN p.state = 'returned' THEN 1 ELSE 0 END "
    "LIMIT 100"
)
_OPEN_ONLY_WHERE_OPEN = text(
    f"SELECT p.payout_id, p.state FROM payouts p JOIN attempts a USING (payout_id) WHERE a.state IN {_OPEN_ATTEMPT} "  # noqa: S608 - constants
    f"AND p.state NOT IN {_OPEN} LIMIT 100"
)
_NUMBERED = text(
    "SELECT p.payout_id FROM payouts p LEFT JOIN (SELECT payout_id, count(*) AS n, max(attempt_no) AS last "
    "FROM attempts GROUP BY payout_id) a USING (payout_id) "
    "WHERE p.attempts <> coalesce(a.n, 0) OR p.attempts <> coalesce(a.last, 0) LIMIT 100"
)
_PATHS = text(
    "WITH steps AS (SELECT payout_id, from_state, to_state, "
    "lag(to_state, 1, 'requested') OVER w AS before, lead(from_state) OVER w AS after "
    "FROM payout_transitions WINDOW w AS (PARTITION BY payout_id ORDER BY id)) "
    "SELECT p.payout_id, p.state FROM payouts p LEFT JOIN steps s USING (payout_id) "
    "WHERE s.before IS DISTINCT FROM s.from_state AND s.payout_id IS NOT NULL "
    "OR s.payout_id IS NULL OR (s.after IS NULL AND s.to_state <> p.state) LIMIT 100"
)
_EDGES = text(
    "SELECT DISTINCT t.from_state, t.to_state FROM payout_transitions t "
    "LEFT JOIN payouts_state_edges e USING (from_state, to_state) WHERE e.to_state IS NULL"
)
# An intent that was renewed is not the one that former attempts were made for: it was issued after the request came.
_ASKED = text(
    "SELECT p.payout_id, p.asset, p.amount_minor, p.intent, p.requested_at, a.attempt_no, a.rail, a.request_hash "
    "FROM payouts p LEFT JOIN attempts a USING (payout_id)"
)
_ASSETS = text("SELECT code, decimals, redeemable FROM assets")
_AT_ONCE = 1_000
_BREACHES_MAX = 100
_ORPHANS = text(
    "SELECT 'attempt' AS what, payout_id FROM attempts x "
    "WHERE NOT EXISTS (SELECT 1 FROM payouts p WHERE p.payout_id = x.payout_id) "
    "UNION SELECT 'approval', payout_id FROM approvals x "
    "WHERE NOT EXISTS (SELECT 1 FROM payouts p WHERE p.payout_id = x.payout_id) "
    "UNION SELECT 'history', payout_id FROM payout_transitions x "
    "WHERE NOT EXISTS (SELECT 1 FROM payouts p WHERE p.payout_id = x.payout_id) LIMIT 100"
)
_CLOSED = text(
    "SELECT payout_id FROM payouts WHERE needs_closure AND closure IS NULL "
    "AND state IN ('failed', 'rejected', 'cancelled') LIMIT 100"
)
_DEFAULTS = text(
    "SELECT player FROM payout_methods WHERE is_default GROUP BY player HAVING count(*) > 1 LIMIT 100"
)
_AUTOMATIC = text(
    "SELECT day, asset, coalesce(u.used_minor, 0) AS counted, coalesce(s.approved, 0) AS approved FROM automatic_use u "
    "FULL JOIN (SELECT CAST(t.at AT TIME ZONE 'UTC' AS date) AS day, p.asset, sum(p.amount_minor) AS approved "
    "FROM payout_transitions t JOIN payouts p USING (payout_id) "
    "WHERE t.from_state = 'requested' AND t.to_state = 'approved' AND t.actor = 'policy' GROUP BY 1, 2) s USING (day, asset) "
    "WHERE coalesce(u.used_minor, 0) <> coalesce(s.approved, 0) ORDER BY day, asset LIMIT 100"
)
_BY_PARTIES = text(
    "SELECT a.payout_id, a.approver FROM approvals a JOIN payouts p USING (payout_id) "
    "WHERE a.approver = p.filed_by OR a.approver = p.player "
    "OR EXISTS (SELECT 1 FROM jsonb_array_elements(p.sources) s WHERE s->>1 = a.approver) LIMIT 100"
)


async def _one_effect(tx: AsyncConnection) -> list[str]:
    return [
        f"payout {row.payout_id} is {row.state} with {row.effected} effects and {row.reversed} reversals"
        for row in await tx.execute(_ONE_EFFECT)
    ]


async def _open_attempts(tx: AsyncConnection) -> list[str]:
    open_ = [
        f"payout {row.payout_id} is {row.state} with an open attempt"
        for row in await tx.execute(_OPEN_ONLY_WHERE_OPEN)
    ]
    return open_ + [f"attempts of payout {row[0]} are not counted 1…n" for row in await tx.execute(_NUMBERED)]


async def _histories(tx: AsyncConnection) -> list[str]:
    breaches = [
        f"the history of payout {row[0]} does not lead to {row[1]}" for row in await tx.execute(_PATHS)
    ]
    return breaches + [f"a history holds {row[0]} → {row[1]}" for row in await tx.execute(_EDGES)]


async def _amounts(tx: AsyncConnection) -> list[str]:
    assets = {row.code: Asset(row.code, row.decimals, row.redeemable) for row in await tx.execute(_ASSETS)}
    breaches: dict[str, None] = {}
    rows = await tx.stream(_ASKED)
    async for chunk in rows.partitions(_AT_ONCE):
        for row in chunk:
            intent = read_intent(row.intent)
            if intent is None:
                breaches[f"payout {row.payout_id} holds no intent that can be read: it was changed"] = None
                continue
            amount = Amount(assets[row.asset], row.amount_minor)
            asked = f"{intent.pay_amount} {intent.pay_asset}"
            told = assets[row.asset].tell(row.amount_minor)
            if told != asked:
                breaches[f"payout {row.payout_id} is over {told}, its intent over {asked}"] = None
            as_asked = row.request_hash is not None and intent.issued_at <= row.requested_at.timestamp()
            if as_asked and row.request_hash != request_hash(
                payout_id=row.payout_id,
                attempt_no=row.attempt_no,
                rail=row.rail,
                amount=amount,
                intent=row.intent,
            ):
                breaches[
                    f"attempt {row.attempt_no} of payout {row.payout_id} was made for something else than {told} over "
                    f"{row.rail} and the payout's intent"
                ] = None
        if len(breaches) >= _BREACHES_MAX:
            break
    return list(breaches)[:_BREACHES_MAX]


async def _orphans(tx: AsyncConnection) -> list[str]:
    return [
        f"payout {row.payout_id} is missing, its {row.what} is there" for row in await tx.execute(_ORPHANS)
    ]


async def _closures(tx: AsyncConnection) -> list[str]:
    return [f"payout {row[0]} ended without the signer's closure" for row in await tx.execute(_CLOSED)]


async def _methods(tx: AsyncConnection) -> list[str]:
    return [f"{row[0]} has two default methods" for row in await tx.execute(_DEFAULTS)]


async def _automatic(tx: AsyncConnection) -> list[str]:
    assets = {row.code: Asset(row.code, row.decimals, row.redeemable) for row in await tx.execute(_ASSETS)}
    return [
        f"on {row.day} payouts over {assets[row.asset].tell(int(row.approved))} were approved without a person, and "
        f"{assets[row.asset].tell(row.counted)} are counted"
        for row in await tx.execute(_AUTOMATIC)
    ]


async def _approvals(tx: AsyncConnection) -> list[str]:
    return [
        f"payout {row[0]} was approved by {row[1]}, a party of it" for row in await tx.execute(_BY_PARTIES)
    ]


CHECKS = (
    Check(Invariant.AT_MOST_ONE_EFFECT, _one_effect, count=rows_of("payouts")),
    Check(Invariant.ATTEMPTS_OPEN_WHERE_THEY_MAY, _open_attempts, count=rows_of("attempts")),
    Check(Invariant.HISTORIES_ARE_PATHS, _histories, count=rows_of("payout_transitions")),
    Check(Invariant.CLOSURES_ARE_STORED, _closures, count=rows_of("payouts")),
    Check(Invariant.AMOUNTS_AS_ASKED, _amounts, count=rows_of("payouts")),
    Check(Invariant.PAYOUTS_EXIST, _orphans, count=rows_of("payout_transitions")),
    Check(Invariant.ONE_DEFAULT_METHOD, _methods, count=rows_of("payout_methods")),
    Check(Invariant.AUTOMATIC_IS_COUNTED, _automatic, count=rows_of("automatic_use")),
    Check(Invariant.NO_PARTY_APPROVES, _approvals, count=rows_of("approvals")),
)
"""Checked by `GET /api/services/payouts/checks`."""
