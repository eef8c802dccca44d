"""Rounds in PostgreSQL. A batch costs a fixed number of statements, whatever its size."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Read, Write, fetch, later, send_now
from prizewire_settlement.adapters.rows import PART_COLUMNS, ROUND_COLUMNS, line_of, part_of, round_of
from prizewire_settlement.adapters.rules import COMPETITION_COLUMNS, RULE_COLUMNS, RuleReader
from prizewire_settlement.domain.errors import Reason
from prizewire_settlement.domain.model import (
    Competition,
    Disownment,
    Line,
    PlayerResult,
    Refusal,
    ResultPart,
    Round,
    Rule,
    Settlement,
    SourceChange,
)
from prizewire_settlement.domain.results import results_of
from prizewire_settlement.ports import Changes


async def corrections_ready(tx: AsyncConnection, *, consumer: str) -> list[int]:
    """The stuck events that are corrections whose match has its result by now, or was voided; oldest first."""
    rows = await tx.execute(_READY, {"consumer": consumer, "reason": Reason.RESULT_MISSING})
    return [row.id for row in rows]


class Rounds:
    """The port ``RoundStore`` over one transaction. ``consumer`` names who takes in match events, whose parked
    corrections hold finality.
    """

    def __init__(self, tx: AsyncConnection, *, rules: RuleReader, consumer: str) -> None:
        self._tx = tx
        self._rules = rules
        self._consumer = consumer

    async def competitions(self, ids: Collection[str]) -> dict[str, Competition]:
        """See the port."""
        rows = await fetch(self._tx, _COMPETITIONS, {"ids": sorted(ids)})
        return {row.id: self._rules.competition(row) for row in rows}

    async def rules(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Rule]:
        """See the port."""
        ordered = sorted(wanted)
        rows = await self._tx.execute(
            _RULES, {"ids": [name for name, _ in ordered], "versions": [version for _, version in ordered]}
        )
        return {(row.competition_id, row.version): self._rules.rule(row) for row in rows}

    async def source_changes(
        self, wanted: Collection[tuple[str, int, int]]
    ) -> dict[str, tuple[SourceChange, ...]]:
        """See the port."""
        names, afters, ends = zip(*sorted(wanted), strict=True)
        values = {"ids": list(names), "afters": list(afters), "ends": list(ends)}
        found: dict[str, tuple[SourceChange, ...]] = {}
        for row in await self._tx.execute(_SOURCE_CHANGES, values):
            found[row.competition_id] = (
                *found.get(row.competition_id, ()),
                self._rules.source_change(row),
            )
        return found

    async def rounds(self, ids: Collection[UUID]) -> dict[UUID, Round]:
        """See the port."""
        rows = await fetch(self._tx, _LOCK, {"ids": list(ids)})
        return {row.id: round_of(row) for row in rows}

    async def parts(self, ids: Collection[UUID]) -> dict[UUID, dict[tuple[int, int], ResultPart]]:
        """See the port."""
        found: dict[UUID, dict[tuple[int, int], ResultPart]] = {}
        for row in await self._tx.execute(_PARTS, {"ids": list(ids)}):
            found.setdefault(row.round_id, {})[row.result_version, row.part] = part_of(row)
        return found

    async def results(self, round_id: UUID, result_version: int) -> dict[int, tuple[PlayerResult, ...]]:
        """See the port."""
        rows = await self._tx.execute(_DOCUMENTS, {"id": round_id, "version": result_version})
        return {row.part: results_of(row.document) for row in rows}

    async def lines(self, round_id: UUID, settlement_version: int) -> tuple[Line, ...]:
        """See the port."""
        rows = await self._tx.execute(_LINES_OF, {"id": round_id, "version": settlement_version})
        return tuple(line_of(row) for row in rows)

    async def entered(self, wanted: Collection[tuple[UUID, str]]) -> dict[UUID, set[str]]:
        """See the port."""
        ordered = sorted(wanted)
        values = {"rounds": [found for found, _ in ordered], "players": [name for _, name in ordered]}
        entered: dict[UUID, set[str]] = {}
        for row in await self._tx.execute(_ENTERED, values):
            entered.setdefault(row.round_id, set()).add(row.player)
        return entered

    async def due(self, *, now: datetime, limit: int) -> list[Round]:
        """See the port."""
        rows = await self._tx.execute(_DUE, {"now": now, "limit": limit, "consumer": self._consumer})
        return [round_of(row) for row in rows]

    async def save(self, changes: Changes) -> None:
        """See the port."""
        if changes.disownments:
            await self._save_disownments(changes.disownments)
        await self._save_transitions(changes)
        if changes.parts:
            await self._save_parts(list(changes.parts.values()))
            if any(key not in changes.born for key, _, _ in changes.parts):
                # A part that came before is replaced: that is forbidden once its round names it as the one that stands.
                await send_now(self._tx)
        born = [found for found in changes.rounds.values() if found.id in changes.born]
        moved = [found for found in changes.rounds.values() if found.id not in changes.born]
        if born:
            await later(self._tx, _ROUNDS_INSERT, _columns(born, _ROUND))
        if moved:
            await later(self._tx, _ROUNDS_UPDATE, _columns(moved, _ROUND))
        if changes.settlements:
            await later(self._tx, _SETTLEMENTS, _columns(changes.settlements, _SETTLEMENT))
            await self._save_lines(changes.settlements)
        if changes.entries:
            await later(self._tx, _ENTRIES, _columns(changes.entries, _ENTRY))
        if changes.refusals:
            await self._save_refusals(changes.refusals)

    async def _save_disownments(self, disownments: list[Disownment]) -> None:
        await later(self._tx, _DISOWNMENTS, _columns(disownments, _DISOWNMENT))

    async def _save_refusals(self, refusals: list[Refusal]) -> None:
        await later(self._tx, _REFUSALS, _columns(refusals, _REFUSAL))

    async def _save_transitions(self, changes: Changes) -> None:
        steps = changes.transitions
        if not steps:
            return
        await later(
            self._tx,
            _TRANSITIONS,
            {
                "rounds": [step.round_id for step in steps],
                "seqs": [step.seq for step in steps],
                "befores": [step.before.value for step in steps],
                "afters": [step.after.value for step in steps],
                "causes": [step.cause.kind for step in steps],
                "cause_ids": [step.cause.id for step in steps],
                "actors": [step.cause.actor for step in steps],
                "correlations": [step.correlation_id for step in steps],
                "ats": [step.at for step in steps],
                "reasons": [step.cause.reason for step in steps],
            },
        )

    async def _save_parts(self, parts: list[ResultPart]) -> None:
        await later(self._tx, _RESULTS, _columns(parts, _PART))

    async def _save_lines(self, settlements: list[Settlement]) -> None:
        rounds: list[UUID] = []
        versions: list[int] = []
        numbers: list[int] = []
        players: list[str] = []
        places: list[int] = []
        amounts: list[int] = []
        for settlement in settlements:
            count = len(settlement.lines)
            rounds += [settlement.round_id] * count
            versions += [settlement.version] * count
            for line in settlement.lines:
                numbers.append(line.line)
                players.append(line.player)
                places.append(line.place)
                amounts.append(line.amount)
        if rounds:
            await later(
                self._tx,
                _LINES,
                {
                    "rounds": rounds,
                    "versions": versions,
                    "numbers": numbers,
                    "players": players,
                    "places": places,
                    "amounts": amounts,
                },
            )


_Column = tuple[str, str, Any]
"""Column, its SQL type, and how its value is read from the domain's object."""

_ROUND: Final[tuple[_Column, ...]] = (
    ("id", "uuid", lambda r: r.id),
    ("source", "text", lambda r: r.source),
    ("match_id", "text", lambda r: r.match_id),
    ("competition_id", "text", lambda r: r.competition),
    ("correlation_id", "text", lambda r: r.correlation_id),
    ("rule_version", "int", lambda r: r.rule_version),
    ("state", "text", lambda r: r.state.value),
    ("state_seq", "int", lambda r: r.state_seq),
    ("version", "int", lambda r: r.version),
    ("settlement_version", "int", lambda r: r.settlement_version),
    ("result_version", "int", lambda r: r.result_version),
    ("final_at", "timestamptz", lambda r: r.final_at),
    ("created_at", "timestamptz", lambda r: r.created_at),
    ("updated_at", "timestamptz", lambda r: r.updated_at),
    ("waiting_since", "timestamptz", lambda r: r.waiting_since),
    ("refused_at", "timestamptz", lambda r: r.refused_at),
    ("disowned_at", "timestamptz", lambda r: r.disowned_at),
)
_PART: Final[tuple[_Column, ...]] = (
    ("round_id", "uuid", lambda p: p.round_id),
    ("result_version", "int", lambda p: p.result_version),
    ("part", "int", lambda p: p.part),
    ("parts", "int", lambda p: p.parts),
    ("hash", "bytea", lambda p: p.hash),
    ("document", "text", lambda p: p.document),
    ("event_id", "text", lambda p: p.event_id),
    ("received_at", "timestamptz", lambda p: p.received_at),
    ("reason", "text", lambda p: p.reason),
    ("players", "int", lambda p: p.players),
    ("reporter", "text", lambda p: p.reporter),
)
_SETTLEMENT: Final[tuple[_Column, ...]] = (
    ("round_id", "uuid", lambda s: s.round_id),
    ("version", "int", lambda s: s.version),
    ("rule_version", "int", lambda s: s.rule.version),
    ("campaign", "uuid", lambda s: s.rule.campaign),
    ("asset", "text", lambda s: s.rule.asset.code),
    ("gross", "bigint", lambda s: s.fees.gross),
    ("platform_fee", "bigint", lambda s: s.fees.platform),
    ("organizer_fee", "bigint", lambda s: s.fees.organizer),
    ("organizer_player", "text", lambda s: s.rule.organizer_player),
    ("net", "bigint", lambda s: s.fees.net),
    ("unclaimed", "bigint", lambda s: s.unclaimed),
    ("lines_total", "int", lambda s: len(s.lines)),
    ("parts", "int", lambda s: s.parts),
    ("first_event", "int", lambda s: s.first_event),
    ("final", "boolean", lambda s: s.final),
    ("final_at", "timestamptz", lambda s: s.final_at),
    ("settled_at", "timestamptz", lambda s: s.settled_at),
    ("cause_id", "text", lambda s: s.cause.id),
    ("reason", "text", lambda s: s.cause.reason),
    # subjects hold no line breaks; an array of arrays would have to be rectangular
    ("reporters", "text", lambda s: "\n".join(s.reporters) or None),
    ("anew", "boolean", lambda s: s.anew),
)
_ENTRY: Final[tuple[_Column, ...]] = (
    ("id", "uuid", lambda e: e.id),
    ("round_id", "uuid", lambda e: e.round_id),
    ("player", "text", lambda e: e.player),
    ("asset", "text", lambda e: e.fee.asset.code),
    ("amount", "bigint", lambda e: e.fee.amount),
    ("event_id", "text", lambda e: e.event_id),
    ("entered_at", "timestamptz", lambda e: e.entered_at),
)


_REFUSAL: Final[tuple[_Column, ...]] = (
    ("round_id", "uuid", lambda r: r.round_id),
    ("settlement_version", "int", lambda r: r.version),
    ("part", "int", lambda r: r.part),
    ("code", "text", lambda r: r.code),
    ("detail", "text", lambda r: r.detail),
    ("event_id", "text", lambda r: r.event_id),
    ("at", "timestamptz", lambda r: r.at),
)
_DISOWNMENT: Final[tuple[_Column, ...]] = (
    ("round_id", "uuid", lambda d: d.round_id),
    ("disownment_id", "uuid", lambda d: d.id),
    ("reason", "text", lambda d: d.reason),
    ("event_id", "text", lambda d: d.event_id),
    ("at", "timestamptz", lambda d: d.at),
)


def _columns(items: list[Any], columns: tuple[_Column, ...]) -> dict[str, list[Any]]:
    return {f"{name}s": [read(item) for item in items] for name, _, read in columns}


def _names(columns: tuple[_Column, ...]) -> str:
    return ", ".join(name for name, _, _ in columns)


def _rows(columns: tuple[_Column, ...]) -> str:
    """The rows as a table: one array for each column."""
    arrays = ", ".join(f"CAST(:{name}s AS {kind}[])" for name, kind, _ in columns)
    return f"unnest({arrays}) AS u({_names(columns)})"


# The SQL below is put together from the literals above; every value is bound.
_COMPETITIONS = Read(
    f"SELECT {COMPETITION_COLUMNS} FROM competitions c "  # noqa: S608 - see above
    "JOIN competition_rules r ON r.competition_id = c.id AND r.version = c.rule_version "
    "WHERE c.id = ANY(CAST(:ids AS text[]))"
)
_RULES = text(
    f"SELECT {RULE_COLUMNS} FROM competition_rules r "  # noqa: S608 - see above
    "JOIN unnest(CAST(:ids AS text[]), CAST(:versions AS int[])) AS u(id, version) "
    "ON r.competition_id = u.id AND r.version = u.version"
)
_SOURCE_CHANGES = text(
    "SELECT competition_id, version, sources, created_by FROM ("
    "SELECT r.competition_id, r.version, r.sources, r.created_by, u.after, lag(r.sources) OVER older AS before "
    "FROM competition_rules r "
    "JOIN unnest(CAST(:ids AS text[]), CAST(:afters AS int[]), CAST(:ends AS int[])) AS u(id, after, until) "
    "ON r.competition_id = u.id AND r.version BETWEEN u.after AND u.until "
    "WINDOW older AS (PARTITION BY r.competition_id ORDER BY r.version)) c "
    "WHERE version > after AND sources IS DISTINCT FROM before ORDER BY competition_id, version"
)
_LOCK = Read(
    f"SELECT {ROUND_COLUMNS} FROM rounds WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE"  # noqa: S608 - see above
)
_PARTS = text(
    f"SELECT {PART_COLUMNS} FROM round_results WHERE round_id = ANY(CAST(:ids AS uuid[]))"  # noqa: S608 - see above
)
_DOCUMENTS = text(
    "SELECT part, document FROM round_results WHERE round_id = :id AND result_version = :version ORDER BY part"
)
_LINES_OF = text(
    "SELECT line, player, place, amount FROM settlement_lines WHERE round_id = :id AND version = :version "
    "ORDER BY line"
)
_ENTERED = text(
    "SELECT e.round_id, e.player FROM entries e "
    "JOIN unnest(CAST(:rounds AS uuid[]), CAST(:players AS text[])) AS u(round_id, player) "
    "ON e.round_id = u.round_id AND e.player = u.player"
)
_DUE = text(
    f"SELECT {ROUND_COLUMNS} FROM rounds WHERE state = 'SETTLED' AND final_at <= :now "  # noqa: S608 - see above
    "AND waiting_since IS NULL AND refused_at IS NULL AND NOT EXISTS (SELECT 1 FROM stuck_events e WHERE e.state = 'parked' AND e.consumer = :consumer "
    "AND e.source = rounds.source AND e.subject = rounds.match_id) "
    "ORDER BY final_at, id LIMIT :limit FOR UPDATE OF rounds SKIP LOCKED"
)
_READY = text(
    "SELECT e.id FROM stuck_events e JOIN rounds r ON r.match_id = e.subject AND r.source = e.source "
    "WHERE e.consumer = :consumer AND e.state = 'parked' AND e.reason = :reason "
    "AND (r.settlement_version > 0 OR r.state = 'VOIDED') "
    "AND NOT EXISTS (SELECT 1 FROM stuck_events b WHERE b.consumer = :consumer AND b.state = 'parked' "
    "AND b.source = e.source AND b.subject = e.subject AND b.id < e.id) ORDER BY e.id LIMIT 200"
)
_TRANSITIONS = Write(
    "round_transitions",
    "INSERT INTO round_transitions "
    "(round_id, seq, from_state, to_state, cause, cause_id, actor, correlation_id, at, reason) "
    "SELECT * FROM unnest(CAST(:rounds AS uuid[]), CAST(:seqs AS int[]), CAST(:befores AS text[]), "
    "CAST(:afters AS text[]), CAST(:causes AS text[]), CAST(:cause_ids AS text[]), CAST(:actors AS text[]), "
    "CAST(:correlations AS text[]), CAST(:ats AS timestamptz[]), CAST(:reasons AS text[])) "
    "AS u(round_id, seq, from_state, to_state, cause, cause_id, actor, correlation_id, at, reason) "
    "ORDER BY u.round_id, u.seq",
    raced=["round_transitions_pkey"],
)
# Rewards may have disowned a round before anybody reported it: then it is disowned from its first row on.
_BORN: Final = {
    "refused_at": "CASE WHEN u.state = 'VOIDED' THEN u.refused_at ELSE coalesce(u.refused_at, x.at) END",
    "disowned_at": "x.at",
}
_ROUNDS_INSERT = Write(
    "rounds",
    f"INSERT INTO rounds ({_names(_ROUND)}) SELECT {', '.join(_BORN.get(name, f'u.{name}') for name, _, _ in _ROUND)} "  # noqa: S608 - see above
    f"FROM {_rows(_ROUND)} LEFT JOIN round_disownments x ON x.round_id = u.id ORDER BY u.id",
    raced=["rounds_pkey", "rounds_one_per_match"],
)
_ROUNDS_UPDATE = Write(
    "rounds",
    "UPDATE rounds SET state = u.state, state_seq = u.state_seq, version = u.version, "  # noqa: S608 - see above
    "settlement_version = u.settlement_version, result_version = u.result_version, final_at = u.final_at, "
    "rule_version = u.rule_version, updated_at = u.updated_at, waiting_since = u.waiting_since, "
    f"refused_at = u.refused_at, disowned_at = u.disowned_at FROM {_rows(_ROUND)} WHERE rounds.id = u.id",
)
_RESULTS = Write(
    "round_results",
    f"INSERT INTO round_results ({_names(_PART)}) SELECT * FROM {_rows(_PART)} "  # noqa: S608 - see above
    "ON CONFLICT (round_id, result_version, part) DO UPDATE SET parts = excluded.parts, hash = excluded.hash, "
    "document = excluded.document, event_id = excluded.event_id, received_at = excluded.received_at, "
    "reason = excluded.reason, players = excluded.players, "
    "reporter = excluded.reporter",
)
_SETTLEMENTS = Write(
    "settlements",
    f"INSERT INTO settlements ({_names(_SETTLEMENT)}) SELECT * FROM {_rows(_SETTLEMENT)}",  # noqa: S608 - see above
    raced=["settlements_pkey"],
)
_ENTRIES = Write(
    "entries",
    f"INSERT INTO entries ({_names(_ENTRY)}) SELECT * FROM {_rows(_ENTRY)}",  # noqa: S608 - see above
    raced=["entries_pkey"],
)
_REFUSALS = Write(
    "round_refusals",
    f"INSERT INTO round_refusals ({_names(_REFUSAL)}) SELECT * FROM {_rows(_REFUSAL)} "  # noqa: S608 - see above
    "ON CONFLICT (round_id, settlement_version) DO NOTHING",
)
_DISOWNMENTS = Write(
    "round_disownments",
    f"INSERT INTO round_disownments ({_names(_DISOWNMENT)}) SELECT * FROM {_rows(_DISOWNMENT)} "  # noqa: S608 - see above
    "ON CONFLICT (round_id) DO NOTHING",
)
_LINES = Write(
    "settlement_lines",
    "INSERT INTO settlement_lines (round_id, version, line, player, place, amount) "
    "SELECT * FROM unnest(CAST(:rounds AS uuid[]), CAST(:versions AS int[]), CAST(:numbers AS int[]), "
    "CAST(:players AS text[]), CAST(:places AS int[]), CAST(:amounts AS bigint[]))",
    raced=["settlement_lines_pkey"],
)
