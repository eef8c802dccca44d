"""Settlement's invariants over the whole database. Each answers breaches as sentences."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.encode import source_of
from prizewire_contracts.ids import event_id

__all__ = ["ABOUT", "CHECKS", "results_whole"]

_SETTLED = "prizewire.round.settled.v1"
_CORRECTED = "prizewire.round.corrected.v1"
_BREACHES_MAX = 50


async def _breaches(tx: AsyncConnection, statement: str) -> list[str]:
    rows = await tx.execute(text(f"{statement} LIMIT {_BREACHES_MAX}"))
    return [row.breach for row in rows]


async def _settled_without_event(tx: AsyncConnection) -> list[str]:
    """Every part of every settlement lies in the outbox, which keeps what it published for 14 days."""
    rows = await tx.stream(
        text(
            "SELECT s.round_id, s.version = 1 OR s.anew AS first, s.version, s.first_event + p.n - 1 AS event_version "
            "FROM settlements s CROSS JOIN LATERAL generate_series(1, s.parts) AS p(n) "
            "WHERE s.settled_at > (SELECT max(created_at) FROM outbox) - interval '13 days'"
        )
    )
    source = source_of("settlement")
    breaches: list[str] = []
    async for chunk in rows.partitions(5_000):
        wanted = {
            str(
                event_id(
                    source=source,
                    subject=str(row.round_id),
                    version=row.event_version,
                    kind=_SETTLED if row.first else _CORRECTED,
                )
            ): row
            for row in chunk
        }
        found = await tx.execute(
            text("SELECT event_id FROM outbox WHERE event_id = ANY(CAST(:ids AS text[]))"),
            {"ids": list(wanted)},
        )
        for missing in wanted.keys() - {row.event_id for row in found}:
            row = wanted[missing]
            breaches.append(
                f"settlement {row.version} of round {row.round_id} has no event {row.event_version}"
            )
    return breaches[:_BREACHES_MAX]


async def results_whole(tx: AsyncConnection, *, until: datetime) -> list[str]:
    """Rounds that wait for a part of their result since ``until`` or longer: somebody has to send it, or to decide."""
    rows = await tx.execute(
        text(
            "SELECT format('round %s of match %s waits for parts of its result since %s', id, match_id, "
            "waiting_since) AS breach FROM rounds WHERE waiting_since <= :until ORDER BY waiting_since LIMIT :limit"
        ),
        {"until": until, "limit": _BREACHES_MAX},
    )
    return [row.breach for row in rows]


_LINES_SUM_TO_NET = """
SELECT format('settlement %s of round %s: %s lines of %s, net %s, unclaimed %s, but %s lines of %s',
    s.version, s.round_id, s.lines_total, s.net - s.unclaimed, s.net, s.unclaimed, l.n, l.total) AS breach
FROM settlements s
CROSS JOIN LATERAL (
    SELECT count(*) AS n, coalesce(sum(amount), 0) AS total FROM settlement_lines l
    WHERE l.round_id = s.round_id AND l.version = s.version
) l
WHERE l.n <> s.lines_total OR l.total + s.unclaimed <> s.net
"""
_FEES_FOLLOW_THE_RULE = """
SELECT format('settlement %s of round %s does not follow rule %s of %s', s.version, s.round_id, s.rule_version,
    d.competition_id) AS breach
FROM settlements s
JOIN rounds d ON d.id = s.round_id
LEFT JOIN competition_rules r ON r.competition_id = d.competition_id AND r.version = s.rule_version
WHERE r.version IS NULL OR s.gross <> r.gross OR s.campaign <> r.campaign OR s.asset <> r.asset
    OR s.gross <> s.platform_fee + s.organizer_fee + s.net
    OR s.platform_fee <> trunc(r.gross::numeric * r.platform_bps / 10000)
    OR s.organizer_fee <> trunc(r.gross::numeric * r.organizer_bps / 10000)
"""
_HISTORY_IS_A_PATH = """
SELECT format('round %s: step %s from %s to %s does not follow', t.round_id, t.seq, t.from_state, t.to_state)
    AS breach
FROM (
    SELECT *, lag(to_state) OVER steps AS before, lag(seq) OVER steps AS before_seq
    FROM round_transitions WINDOW steps AS (PARTITION BY round_id ORDER BY seq)
) t
LEFT JOIN round_transitions_allowed a ON a.from_state = t.from_state AND a.to_state = t.to_state
WHERE a.from_state IS NULL OR t.seq <> coalesce(t.before_seq, 0) + 1
    OR t.from_state <> coalesce(t.before, 'NEW')
"""
_STATE_IS_THE_LAST_STEP = """
SELECT format('round %s is %s after %s steps, its history ends with %s after %s', coalesce(d.id, t.round_id),
    d.state, d.state_seq, t.to_state, t.seq) AS breach
FROM rounds d
FULL JOIN (
    SELECT DISTINCT ON (round_id) round_id, seq, to_state FROM round_transitions ORDER BY round_id, seq DESC
) t ON t.round_id = d.id
WHERE d.state IS DISTINCT FROM t.to_state OR d.state_seq IS DISTINCT FROM t.seq
"""
_SETTLED_IS_SETTLED_ONCE = """
SELECT format('round %s is %s with %s settlements of %s', d.id, d.state, count(s.version), d.settlement_version)
    AS breach
FROM rounds d LEFT JOIN settlements s ON s.round_id = d.id
GROUP BY d.id
HAVING count(s.version) <> d.settlement_version
    OR (d.state IN ('SETTLED', 'FINALIZED')) <> (d.settlement_version > 0 AND d.state <> 'VOIDED')
"""
_ENTRIES_FOLLOW_THE_RULE = """
SELECT format('entry %s of round %s: %s %s, but rule %s asks %s %s', e.id, e.round_id, e.amount, e.asset,
    d.rule_version, r.entry_amount, r.entry_asset) AS breach
FROM entries e
LEFT JOIN rounds d ON d.id = e.round_id
LEFT JOIN competition_rules r ON r.competition_id = d.competition_id AND r.version = d.rule_version
WHERE (e.amount, e.asset) IS DISTINCT FROM (r.entry_amount, r.entry_asset)
"""

_REFUSED_ARE_MENDED = """
SELECT format('round %s of match %s: rewards refused settlement %s at %s, %s: resettle it, or void it', d.id, d.match_id,
    d.settlement_version, d.refused_at, r.code) AS breach
FROM rounds d
LEFT JOIN round_refusals r ON r.round_id = d.id AND r.settlement_version = d.settlement_version
WHERE d.refused_at IS NOT NULL ORDER BY d.refused_at
"""

CHECKS: dict[str, Callable[[AsyncConnection], Awaitable[list[str]]]] = {
    "settlement.lines_sum_to_net": partial(_breaches, statement=_LINES_SUM_TO_NET),
    "settlement.fees_follow_the_rule": partial(_breaches, statement=_FEES_FOLLOW_THE_RULE),
    "settlement.history_is_a_path": partial(_breaches, statement=_HISTORY_IS_A_PATH),
    "settlement.state_is_the_last_step": partial(_breaches, statement=_STATE_IS_THE_LAST_STEP),
    "settlement.settlements_match_the_state": partial(_breaches, statement=_SETTLED_IS_SETTLED_ONCE),
    "settlement.settled_rounds_have_their_events": _settled_without_event,
    "settlement.entries_follow_the_rule": partial(_breaches, statement=_ENTRIES_FOLLOW_THE_RULE),
    "settlement.refused_rounds_are_mended": partial(_breaches, statement=_REFUSED_ARE_MENDED),
}
"""Check by name."""

ABOUT = {
    "settlement.lines_sum_to_net": "settlements",
    "settlement.fees_follow_the_rule": "settlements",
    "settlement.history_is_a_path": "round_transitions",
    "settlement.state_is_the_last_step": "rounds",
    "settlement.settlements_match_the_state": "rounds",
    "settlement.settled_rounds_have_their_events": "settlements",
}
"""Of which table each check looks at every row."""
