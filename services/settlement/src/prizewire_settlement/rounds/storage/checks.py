"""Settlement's invariants over the whole database. Each returns its breaches as sentences."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.assets import amount_sql
from prizewire_contracts.canonical import canonical_hash
from prizewire_contracts.encode import source_of
from prizewire_contracts.ids import event_id
from prizewire_money import Asset
from prizewire_settlement.rounds.storage.macs import Mac, is_proved
from prizewire_settlement.rounds.storage.rows import PART_COLUMNS, part_of

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


async def _lines_as_sent(tx: AsyncConnection) -> list[str]:
    """The lines of every settlement make the digest that its events carry, as long as the outbox keeps these."""
    assets = {row.code: Asset(row.code, row.decimals, row.redeemable) for row in await tx.execute(_ASSETS)}
    rows = await tx.stream(_SENT)
    source = source_of("settlement")
    breaches: list[str] = []
    async for chunk in rows.partitions(_SETTLEMENTS_AT_ONCE):
        sent = {
            str(
                event_id(
                    source=source,
                    subject=str(row.round_id),
                    version=row.first_event,
                    kind=_SETTLED if row.first else _CORRECTED,
                )
            ): row
            for row in chunk
        }
        for found in await tx.execute(_DIGESTS, {"ids": list(sent)}):
            row = sent[found.event_id]
            render = assets[row.asset].render
            lines = await tx.execute(_LINES, {"id": row.round_id, "version": row.version})
            made = canonical_hash(
                [[one.line, one.player, one.place, render(one.amount)] for one in lines]
            ).hex()
            if made != found.digest:
                breaches.append(
                    f"the lines of settlement {row.version} of round {row.round_id} make the digest {made}, its event "
                    f"{found.event_id} carries {found.digest}"
                )
    return breaches[:_BREACHES_MAX]


async def results_whole(tx: AsyncConnection, *, until: datetime) -> list[str]:
    """Rounds that wait for a part of their result since ``until`` or longer: the game server has to send it, or an admin to decide."""
    rows = await tx.execute(
        text(
            "SELECT format('round %s of match %s waits since %s for parts of its result, which did not come or were refused: "
            "`prizewire trace %s` shows its stuck events', id, match_id, waiting_since, correlation_id) AS breach FROM rounds WHERE waiting_since <= :until ORDER BY waiting_since LIMIT :limit"
        ),
        {"until": until, "limit": _BREACHES_MAX},
    )
    return [row.breach for row in rows]


async def parts_proved(tx: AsyncConnection, *, mac: Mac) -> list[str]:
    """Parts of results that may still be settled, and are not as settlement wrote them: those that wait, and the standing
    result of a refused round.
    """
    breaches: list[str] = []
    rows = await tx.stream(_PARTS)
    async for chunk in rows.partitions(_PARTS_AT_ONCE):
        breaches += [
            f"part {row.part} of result {row.result_version} of round {row.round_id} is not as settlement stored it"
            for row in chunk
            if not (row.sound and is_proved(part_of(row), stored=row.mac, mac=mac))
        ]
        if len(breaches) >= _BREACHES_MAX:
            break
    return breaches[:_BREACHES_MAX]


_PARTS_AT_ONCE = 1_000
_PARTS = text(
    f"SELECT {', '.join(f'p.{name}' for name in PART_COLUMNS.split(', '))}, "
    "sha256(convert_to(p.document, 'UTF8')) = p.hash AS sound "
    "FROM rounds d JOIN round_results p ON p.round_id = d.id WHERE d.state <> 'VOIDED' AND ("
    "(p.result_version > coalesce(d.result_version, 0) AND (p.reason IS NULL) = (d.settlement_version = 0)) "
    "OR (p.result_version = d.result_version AND d.refused_at IS NOT NULL)) "
    "ORDER BY p.round_id, p.result_version, p.part"
)
_SETTLEMENTS_AT_ONCE = 1_000
_ASSETS = text("SELECT code, decimals, redeemable FROM assets")
_SENT = text(
    "SELECT round_id, version, version = 1 OR anew AS first, first_event, asset FROM settlements "
    "WHERE settled_at > (SELECT max(created_at) FROM outbox) - interval '13 days'"
)
_DIGESTS = text(
    "SELECT event_id, CAST(convert_from(value, 'UTF8') AS jsonb) #>> '{data,digest}' AS digest FROM outbox "
    "WHERE event_id = ANY(CAST(:ids AS text[]))"
)
_LINES = text(
    "SELECT line, player, place, amount FROM settlement_lines WHERE round_id = :id AND version = :version ORDER BY line"
)
_LINES_SUM_TO_NET = f"""
SELECT format('settlement %s of round %s: net %s, unclaimed %s, so its %s lines should make %s; there are %s, which make %s',
    s.version, s.round_id, {amount_sql("s.net", "s.asset")}, {amount_sql("s.unclaimed", "s.asset")}, s.lines_total,
    {amount_sql("(s.net - s.unclaimed)", "s.asset")}, l.n, {amount_sql("l.total", "s.asset")}) AS breach
FROM settlements s
CROSS JOIN LATERAL (
    SELECT count(*) AS n, coalesce(sum(amount), 0) AS total FROM settlement_lines l
    WHERE l.round_id = s.round_id AND l.version = s.version
) l
WHERE l.n <> s.lines_total OR l.total + s.unclaimed <> s.net
"""
_FEES_FOLLOW_THE_RULE = """
SELECT CASE WHEN d.id IS NULL THEN format('settlement %s is of round %s, which is missing', s.version, s.round_id)
    WHEN r.version IS NULL THEN format('settlement %s of round %s follows rule %s of %s, which is missing', s.version,
        s.round_id, s.rule_version, d.competition_id)
    ELSE format('settlement %s of round %s does not follow rule %s of %s', s.version, s.round_id, s.rule_version,
        d.competition_id) END AS breach
FROM settlements s
LEFT JOIN rounds d ON d.id = s.round_id
LEFT JOIN competition_rules r ON r.competition_id = d.competition_id AND r.version = s.rule_version
WHERE r.version IS NULL OR s.gross <> r.gross OR s.campaign <> r.campaign OR s.asset <> r.asset
    OR s.gross <> s.platform_fee + s.organizer_fee + s.net
    OR s.platform_fee <> div(r.gross::numeric * r.platform_bps, 10000)
    OR s.organizer_fee <> div(r.gross::numeric * r.organizer_bps, 10000)
"""
_HISTORY_IS_A_PATH = """
SELECT format('round %s: step %s from %s to %s does not follow', t.round_id, t.seq, t.from_state, t.to_state)
    AS breach
FROM (
    SELECT *, lag(to_state) OVER steps AS before, lag(seq) OVER steps AS before_seq
    FROM round_steps WINDOW steps AS (PARTITION BY round_id ORDER BY seq)
) t
LEFT JOIN round_transitions_allowed a ON a.from_state = t.from_state AND a.to_state = t.to_state
WHERE a.from_state IS NULL OR t.seq <> coalesce(t.before_seq, 0) + 1
    OR t.from_state <> coalesce(t.before, 'NEW')
"""
_STATE_IS_THE_LAST_STEP = """
SELECT CASE
    WHEN d.id IS NULL THEN format('round %s is missing, its history ends with %s after %s steps', t.round_id, t.to_state,
        t.seq)
    WHEN t.round_id IS NULL THEN format('round %s is %s after %s steps, its history is missing', d.id, d.state, d.state_seq)
    ELSE format('round %s is %s after %s steps, its history ends with %s after %s steps', d.id, d.state, d.state_seq,
        t.to_state, t.seq) END AS breach
FROM rounds d
FULL JOIN (
    SELECT DISTINCT ON (round_id) round_id, seq, to_state FROM round_transitions ORDER BY round_id, seq DESC
) t ON t.round_id = d.id
WHERE d.state IS DISTINCT FROM t.to_state OR d.state_seq IS DISTINCT FROM t.seq
"""
_SETTLED_IS_SETTLED_ONCE = """
SELECT format('round %s is %s and was settled %s times, of which %s settlements are there', d.id, d.state,
    d.settlement_version, count(s.version)) AS breach
FROM rounds d LEFT JOIN settlements s ON s.round_id = d.id
GROUP BY d.id
HAVING count(s.version) <> d.settlement_version
    OR (d.state IN ('SETTLED', 'FINALIZED')) <> (d.settlement_version > 0 AND d.state <> 'VOIDED')
"""
_LINES_HAVE_SETTLEMENTS = """
SELECT format('lines of settlement %s of round %s are there, the settlement is missing', l.version, l.round_id) AS breach
FROM settlement_lines l
WHERE l.line = 1 AND NOT EXISTS (
    SELECT 1 FROM settlements s WHERE s.round_id = l.round_id AND s.version = l.version
)
"""
_ENTRIES_FOLLOW_THE_RULE = f"""
SELECT CASE WHEN d.id IS NULL THEN format('entry %s is of round %s, which is missing', e.id, e.round_id)
    WHEN r.version IS NULL THEN format('entry %s of round %s: rule %s, which it follows, is missing', e.id, e.round_id,
        d.rule_version)
    ELSE format('entry %s of round %s costs %s, rule %s asks for %s', e.id, e.round_id, {amount_sql("e.amount", "e.asset")},
        d.rule_version, coalesce({amount_sql("r.entry_amount", "r.entry_asset")}, 'nothing')) END AS breach
FROM entries e
LEFT JOIN rounds d ON d.id = e.round_id
LEFT JOIN competition_rules r ON r.competition_id = d.competition_id AND r.version = d.rule_version
WHERE (e.amount, e.asset) IS DISTINCT FROM (r.entry_amount, r.entry_asset)
"""
_REFUSED_ARE_MENDED = """
SELECT CASE WHEN d.disowned_at IS NOT NULL
    THEN format('round %s of match %s: two admins disowned it in rewards, reported at %s: void it', d.id, d.match_id,
        d.disowned_at)
    ELSE format('round %s of match %s: rewards refused settlement %s at %s, %s: resettle it, or void it', d.id, d.match_id,
        d.settlement_version, d.refused_at, r.code) END AS breach
FROM rounds d
LEFT JOIN round_refusals r ON r.round_id = d.id AND r.settlement_version = d.settlement_version
WHERE d.refused_at IS NOT NULL ORDER BY d.refused_at
"""
CHECKS: dict[str, Callable[[AsyncConnection], Awaitable[list[str]]]] = {
    "settlement.lines_sum_to_net": partial(_breaches, statement=_LINES_SUM_TO_NET),
    "settlement.lines_are_those_sent": _lines_as_sent,
    "settlement.lines_have_their_settlement": partial(_breaches, statement=_LINES_HAVE_SETTLEMENTS),
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
    "settlement.lines_have_their_settlement": "settlement_lines",
    "settlement.fees_follow_the_rule": "settlements",
    "settlement.history_is_a_path": "round_transitions",
    "settlement.state_is_the_last_step": "rounds",
    "settlement.settlements_match_the_state": "rounds",
    "settlement.settled_rounds_have_their_events": "settlements",
}
"""The table of which each check reads every row."""
