"""Rounds in PostgreSQL. A batch costs a fixed number of statements, whatever its size."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import batch_of
from prizewire_chassis.db import Read, fetch, later, send_now
from prizewire_chassis.logging import get_logger
from prizewire_chassis.outbox import Outbox
from prizewire_settlement.competitions.domain.model import Competition, Rule, SourceChange
from prizewire_settlement.competitions.storage import (
    COMPETITION_COLUMNS,
    RULE_COLUMNS,
    PostgresCampaigns,
    RuleReader,
)
from prizewire_settlement.errors import Reason, ReportRefused
from prizewire_settlement.prizes.domain import Line, PlayerResult
from prizewire_settlement.rounds.domain.acceptance import hash_of, results_of
from prizewire_settlement.rounds.domain.changes import RoundChange
from prizewire_settlement.rounds.domain.model import (
    Disownment,
    ResultPart,
    Round,
    Settlement,
    Transition,
)
from prizewire_settlement.rounds.messages import Messages
from prizewire_settlement.rounds.storage.macs import Mac, is_proved, part_mac
from prizewire_settlement.rounds.storage.rows import PART_COLUMNS, ROUND_COLUMNS, line_of, part_of, round_of
from prizewire_settlement.rounds.storage.writes import (
    DISOWNMENT,
    DISOWNMENTS,
    ENTRIES,
    ENTRY,
    LINES,
    PART,
    REFUSAL,
    REFUSALS,
    RESULTS,
    ROUND,
    ROUNDS_INSERT,
    ROUNDS_UPDATE,
    SETTLEMENT,
    SETTLEMENTS,
    TRANSITIONS,
    Column,
)


async def corrections_ready(tx: AsyncConnection, *, consumer: str) -> list[int]:
    """The stuck events that are corrections whose match has its result by now, or was voided; oldest first."""
    rows = await tx.execute(_READY, {"consumer": consumer, "reason": Reason.RESULT_MISSING})
    return [row.id for row in rows]


class Rounds(PostgresCampaigns):
    """The port ``UnitOfWork`` over one transaction. ``consumer`` names the consumer of match events, whose parked
    corrections hold finality. ``mac`` makes the MACs of parts.
    """

    def __init__(
        self, tx: AsyncConnection, *, rules: RuleReader, consumer: str, outbox: Outbox, mac: Mac
    ) -> None:
        super().__init__(tx)
        self._mac = mac
        self._messages = Messages(tx, outbox=outbox)
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
            head = part_of(row)
            proved = is_proved(head, stored=row.mac, mac=self._mac)
            found.setdefault(row.round_id, {})[row.result_version, row.part] = replace(head, proved=proved)
        return found

    async def results(self, heads: Collection[ResultPart]) -> dict[int, tuple[PlayerResult, ...]]:
        """See the port."""
        stored: dict[int, str] = {}
        for round_id, version in {(head.round_id, head.result_version) for head in heads}:
            wanted = {"id": round_id, "version": version, "parts": [head.part for head in heads]}
            stored = {row.part: row.document for row in await self._tx.execute(_DOCUMENTS, wanted)}
        for head in heads:
            if not head.proved or hash_of(stored[head.part]) != head.hash:
                raise _unproved(head)
        return {number: results_of(document) for number, document in stored.items()}

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
        batch = batch_of(self._tx)
        limit = batch.limit(limit)
        values = {"now": now, "limit": limit, "without": batch.without, "consumer": self._consumer}
        if batch.alone:
            found = await self.rounds(await batch.claim(self._tx, _DUE_ID, values))
            return list(found.values())
        return [round_of(row) for row in await self._tx.execute(_DUE, values)]

    async def save(self, changes: Sequence[RoundChange], *, disownments: Sequence[Disownment] = ()) -> None:
        """See the port."""
        rounds = {one.round.id: one.round for one in changes if one.round is not None}
        if not rounds and not disownments:
            return
        created = {one.round.id for one in changes if one.round is not None and one.new}
        if disownments:
            await later(self._tx, DISOWNMENTS, _columns(disownments, DISOWNMENT))
        await self._save_transitions([step for one in changes for step in one.transitions])
        parts = {
            (one.part.round_id, one.part.result_version, one.part.part): one.part
            for one in changes
            if one.part is not None
        }
        if parts:
            macs = [part_mac(part, self._mac) for part in parts.values()]
            await later(self._tx, RESULTS, {**_columns(list(parts.values()), PART), "macs": macs})
            if any(key not in created for key, _, _ in parts):
                # An earlier part is replaced. The database refuses this once the round names the result as the one that stands.
                await send_now(self._tx)
        new = [found for found in rounds.values() if found.id in created]
        moved = [found for found in rounds.values() if found.id not in created]
        if new:
            await later(self._tx, ROUNDS_INSERT, _columns(new, ROUND))
        if moved:
            await later(self._tx, ROUNDS_UPDATE, _columns(moved, ROUND))
        settlements = [one.settlement for one in changes if one.settlement is not None]
        if settlements:
            await later(self._tx, SETTLEMENTS, _columns(settlements, SETTLEMENT))
            await self._save_lines(settlements)
        entries = [one.entry for one in changes if one.entry is not None]
        if entries:
            await later(self._tx, ENTRIES, _columns(entries, ENTRY))
        refusals = [one.refusal for one in changes if one.refusal is not None]
        if refusals:
            await later(self._tx, REFUSALS, _columns(refusals, REFUSAL))
        events = [event for one in changes for event in one.events]
        if events:
            await self._messages.publish(events)

    async def _save_transitions(self, transitions: Sequence[Transition]) -> None:
        paths = [list(steps) for _, steps in groupby(transitions, key=_CAUSED)]
        if not paths:
            return
        steps = [path[-1] for path in paths]
        await later(
            self._tx,
            TRANSITIONS,
            {
                "rounds": [step.round_id for step in steps],
                "seqs": [step.seq for step in steps],
                "befores": [path[0].before.value for path in paths],
                "afters": [step.after.value for step in steps],
                "throughs": [_through(path) for path in paths],
                "causes": [step.cause.kind for step in steps],
                "cause_ids": [step.cause.id for step in steps],
                "actors": [step.cause.actor for step in steps],
                "correlations": [step.correlation_id for step in steps],
                "ats": [step.at for step in steps],
                "reasons": [step.cause.reason for step in steps],
            },
        )

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
                LINES,
                {
                    "rounds": rounds,
                    "versions": versions,
                    "numbers": numbers,
                    "players": players,
                    "places": places,
                    "amounts": amounts,
                },
            )


def _unproved(head: ResultPart) -> ReportRefused:
    """The refusal of what needs a stored part that is not proved, with a line in the log."""
    place = {"result_version": head.result_version, "part": head.part}
    _log.error("a stored part of a result is not proved", round_id=str(head.round_id), **place)
    detail = (
        f"part {head.part} of result {head.result_version} of round {head.round_id} was changed in the database, or stored "
        "before the message key: report that part again, then this event, or have an admin decide"
    )
    return ReportRefused(Reason.PART_UNPROVED, detail)


def _columns(items: Sequence[Any], columns: tuple[Column, ...]) -> dict[str, list[Any]]:
    """Objects of the domain as one array for each column."""
    return {f"{name}s": [read(item) for item in items] for name, _, read in columns}


def _through(path: Sequence[Transition]) -> str | None:
    """The states between the first and the last of a path as an array's text, None where there are none."""
    return f"{{{','.join(step.after.value for step in path[:-1])}}}" if len(path) > 1 else None


_log = get_logger(__name__)
_CAUSED = attrgetter("round_id", "cause", "at")
"""What the steps of one row have in common. The steps of a change follow each other."""

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
    "SELECT part, document FROM round_results WHERE round_id = :id AND result_version = :version "
    "AND part = ANY(CAST(:parts AS int[]))"
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
_WHERE_DUE = (
    "WHERE state = 'SETTLED' AND final_at <= :now AND id <> ALL(CAST(:without AS uuid[])) "
    "AND waiting_since IS NULL AND refused_at IS NULL AND NOT EXISTS (SELECT 1 FROM stuck_events e WHERE e.state = 'parked' AND e.consumer = :consumer "
    "AND e.source = rounds.source AND e.subject = rounds.match_id) "
    "ORDER BY final_at, id LIMIT :limit FOR UPDATE OF rounds SKIP LOCKED"
)
_DUE = text(f"SELECT {ROUND_COLUMNS} FROM rounds {_WHERE_DUE}")  # noqa: S608 - see above
_DUE_ID = text(f"SELECT id FROM rounds {_WHERE_DUE}")  # noqa: S608 - see above
_READY = text(
    "SELECT e.id FROM stuck_events e JOIN rounds r ON r.match_id = e.subject AND r.source = e.source "
    "WHERE e.consumer = :consumer AND e.state = 'parked' AND e.reason = :reason "
    "AND (r.settlement_version > 0 OR r.state = 'VOIDED') "
    "AND NOT EXISTS (SELECT 1 FROM stuck_events b WHERE b.consumer = :consumer AND b.state = 'parked' "
    "AND b.source = e.source AND b.subject = e.subject AND b.id < e.id) ORDER BY e.id LIMIT 200"
)
