"""Invariants of payouts, attempts and their histories, as SQL. Each check returns its breaches as sentences."""

from collections.abc import Callable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_money import Amount, Asset
from prizewire_payouts.payouts.adapters import read_intent
from prizewire_payouts.payouts.handlers.submission import request_hash
from prizewire_payouts.payouts.storage.payouts import attempt_from
from prizewire_payouts.payouts.storage.statements import ALL_ATTEMPTS

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
_ATTEMPT_PATHS = text(
    "WITH steps AS (SELECT payout_id, attempt_no, from_state, to_state, "
    "lag(to_state, 1, 'opened') OVER w AS before, lead(from_state) OVER w AS after "
    "FROM attempt_transitions WINDOW w AS (PARTITION BY payout_id, attempt_no ORDER BY id)) "
    "SELECT DISTINCT a.payout_id, a.attempt_no, a.state FROM attempts a LEFT JOIN steps s USING (payout_id, attempt_no) "
    "WHERE s.before IS DISTINCT FROM s.from_state OR (s.after IS NULL AND s.to_state <> a.state) "
    "OR (s.to_state IS NULL AND a.state <> 'opened') LIMIT 100"
)
_EDGES = text(
    "SELECT DISTINCT t.from_state, t.to_state FROM payout_transitions t "
    "LEFT JOIN payouts_state_edges e USING (from_state, to_state) WHERE e.to_state IS NULL"
)
_ATTEMPT_EDGES = text(
    "SELECT DISTINCT t.from_state, t.to_state FROM attempt_transitions t "
    "LEFT JOIN attempts_state_edges e USING (from_state, to_state) WHERE e.to_state IS NULL"
)
# Attempts before a renewal were made for another intent: the renewed one was issued after the payout was requested.
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


_RETRIED = text(
    "SELECT o.payout_id, o.state, o.retried_by, p.payout_id AS retry FROM payouts o "
    "FULL JOIN payouts p ON p.retry_of = o.payout_id "
    "WHERE (p.retry_of IS NOT NULL OR o.retried_by IS NOT NULL) "
    "AND (o.payout_id IS NULL OR p.payout_id IS NULL OR o.retried_by IS DISTINCT FROM p.payout_id "
    "OR o.player IS DISTINCT FROM p.player OR o.asset <> p.asset "
    "OR o.state NOT IN ('failed', 'rejected', 'cancelled', 'returned')) LIMIT 100"
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


async def _attempt_histories(tx: AsyncConnection) -> list[str]:
    breaches = [
        f"the history of attempt {row.attempt_no} of payout {row.payout_id} has a gap, or does not lead to {row.state}"
        for row in await tx.execute(_ATTEMPT_PATHS)
    ]
    return breaches + [
        f"a history of an attempt holds {row[0]} → {row[1]}" for row in await tx.execute(_ATTEMPT_EDGES)
    ]


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
            stored = assets[row.asset].describe(row.amount_minor)
            if stored != asked:
                breaches[f"payout {row.payout_id} is over {stored}, its intent over {asked}"] = None
            as_requested = row.request_hash is not None and intent.issued_at <= row.requested_at.timestamp()
            if as_requested and row.request_hash != request_hash(
                payout_id=row.payout_id,
                attempt_no=row.attempt_no,
                rail=row.rail,
                amount=amount,
                intent=row.intent,
            ):
                breaches[
                    f"attempt {row.attempt_no} of payout {row.payout_id} was made for something else than {stored} over "
                    f"{row.rail} and the payout's intent"
                ] = None
        if len(breaches) >= _BREACHES_MAX:
            break
    return list(breaches)[:_BREACHES_MAX]


async def _orphans(tx: AsyncConnection) -> list[str]:
    return [
        f"payout {row.payout_id} is missing, its {row.what} is there" for row in await tx.execute(_ORPHANS)
    ]


async def _retried(tx: AsyncConnection) -> list[str]:
    return [
        f"payout {row.retry} retries payout {row.payout_id}, which is {row.state} and names {row.retried_by}, or is of another "
        "player or asset"
        for row in await tx.execute(_RETRIED)
    ]


async def _closures(tx: AsyncConnection) -> list[str]:
    return [f"payout {row[0]} ended without the signer's closure" for row in await tx.execute(_CLOSED)]


def attempts_check(mac: Callable[[bytes], bytes], former: Sequence[Callable[[bytes], bytes]] = ()) -> Check:
    """Payouts wrote every attempt itself: its row agrees with its MAC."""

    async def changed(tx: AsyncConnection) -> list[str]:
        breaches: list[str] = []
        rows = await tx.stream(ALL_ATTEMPTS)
        async for chunk in rows.partitions(_AT_ONCE):
            breaches += [
                f"attempt {one.attempt_no} of payout {one.payout_id} was changed in the database"
                for one in (attempt_from(row, mac, former) for row in chunk)
                if not one.authentic
            ]
            if len(breaches) >= _BREACHES_MAX:
                break
        return breaches[:_BREACHES_MAX]

    return Check("payout_attempts_are_authentic", changed, count=rows_of("attempts"))


_QUOTES = text("""
    SELECT format('payout %s and its intent name different quotes, or amounts', p.payout_id) AS said FROM payouts p
    WHERE jsonb_typeof(p.intent) = 'object'
      AND ((p.quote IS NULL) <> (p.intent ->> 'quote' IS NULL)
           OR p.quote ->> 'quote_id' <> p.intent #>> '{quote,id}' OR p.quote ->> 'pay_amount' <> p.intent ->> 'pay_amount')
    UNION ALL
    SELECT format('attempt %s of payout %s began after its quote had expired', a.attempt_no, a.payout_id)
    FROM payouts p JOIN attempts a ON a.payout_id = p.payout_id
    WHERE p.quote IS NOT NULL AND extract(epoch FROM a.opened_at) >= CAST(p.quote ->> 'expires_at' AS bigint)
    LIMIT 50
""")


async def _quotes(tx: AsyncConnection) -> list[str]:
    return [str(row.said) for row in await tx.execute(_QUOTES)]


CHECKS = (
    # A payout has one effected attempt where it is paid, one reversed attempt where it is returned, and none else.
    Check("payout_has_at_most_one_effect", _one_effect, count=rows_of("payouts")),
    # An attempt is open only while its payout is submitting, pending or unknown; attempts count 1 to n.
    Check("payout_attempts_open_where_they_may", _open_attempts, count=rows_of("attempts")),
    # Every history follows declared edges, from requested to the present state.
    Check("payout_histories_are_paths", _histories, count=rows_of("payout_transitions")),
    # The same for every attempt, from opened.
    Check("attempt_histories_are_paths", _attempt_histories, count=rows_of("attempt_transitions")),
    # A payout that the signer could have signed never ended without the signer's closure.
    Check("payout_closures_are_stored", _closures, count=rows_of("payouts")),
    # A payout is retried by one other, of the same player and asset, once it has ended; each names the other.
    Check("payout_retries_fit", _retried, count=rows_of("payouts")),
    # A payout's asset and amount are those of its intent, and each attempt was made for them.
    Check("payout_amounts_as_asked", _amounts, count=rows_of("payouts")),
    # A payout has the quote that its intent names, and no attempt began after the quote had expired.
    Check("payout_quotes_are_bound", _quotes, count=rows_of("payouts")),
    # Every attempt, approval and transition belongs to a payout that exists.
    Check("payout_rows_have_their_payout", _orphans, count=rows_of("payout_transitions")),
)
