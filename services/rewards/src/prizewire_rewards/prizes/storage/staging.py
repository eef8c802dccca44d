"""Staged parts of settlements, and work on large rounds, over PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import batch_of
from prizewire_chassis.db import copy_rows
from prizewire_rewards.prizes.domain.model import Line, Phase, RoundWork, Settlement
from prizewire_rewards.prizes.ports import StagedHead


class SqlStaging:
    """Staged parts and work in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def staged(self, keys: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], StagedHead]:
        """See the port."""
        rows = await self._tx.execute(_STAGED, _keys(keys))
        return {
            (row.round_id, row.settlement_version): StagedHead(
                _head_of(orjson.loads(row.head)), frozenset(row.parts)
            )
            for row in rows
        }

    async def stage(
        self, parts: Sequence[tuple[Settlement, int, tuple[Line, ...]]], *, now: datetime
    ) -> None:
        """See the port."""
        await self._tx.execute(
            _STAGE,
            {
                "rounds": [head.round_id for head, _, _ in parts],
                "versions": [head.settlement_version for head, _, _ in parts],
                "numbers": [part for _, part, _ in parts],
                "parts": [head.parts for head, _, _ in parts],
                "heads": [_json_of(head) for head, _, _ in parts],
                "now": now,
            },
        )
        await copy_rows(
            self._tx,
            table="staged_lines",
            columns=("round_id", "settlement_version", "part", "line", "player", "place", "amount"),
            rows=[
                (
                    head.round_id,
                    head.settlement_version,
                    part,
                    line.line,
                    line.player,
                    line.place,
                    line.amount,
                )
                for head, part, lines in parts
                for line in lines
            ],
        )

    async def unstage(self, key: tuple[UUID, int], *, part: int | None = None) -> None:
        """See the port."""
        for statement in (_UNSTAGE_LINES, _UNSTAGE_PARTS):
            await self._tx.execute(statement, {**_key(key), "part": part})

    async def staged_lines(self, key: tuple[UUID, int], *, after: int, limit: int) -> list[Line]:
        """See the port."""
        rows = await self._tx.execute(_LINES, {**_key(key), "after": after, "limit": limit})
        return [_line_of(row) for row in rows]

    async def staged_players(self, key: tuple[UUID, int]) -> int:
        """See the port."""
        return int((await self._tx.execute(_PLAYERS, _key(key))).scalar_one())

    async def staged_for(self, key: tuple[UUID, int], *, players: Iterable[str]) -> dict[str, Line]:
        """See the port."""
        rows = await self._tx.execute(_LINES_FOR, {**_key(key), "players": list(players)})
        return {row.player: _line_of(row) for row in rows}

    async def hold(self, key: tuple[UUID, int], *, held: Mapping[int, str]) -> None:
        """See the port."""
        if held:
            values = {**_key(key), "lines": list(held), "codes": list(held.values())}
            await self._tx.execute(_HOLD, values)

    async def holds(self, key: tuple[UUID, int], *, after: int, upto: int) -> dict[int, str]:
        """See the port."""
        rows = await self._tx.execute(_HOLDS, {**_key(key), "after": after, "upto": upto})
        return {row.line: row.held for row in rows}

    async def add_work(self, tasks: Sequence[RoundWork], *, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(
            _ADD_WORK,
            {
                "rounds": [task.round_id for task in tasks],
                "versions": [task.version for task in tasks],
                "phases": [task.phase for task in tasks],
                "budgets": [task.budget for task in tasks],
                "fees": [task.fees for task in tasks],
                "announceds": [task.announced for task in tasks],
                "heads": [None if task.head is None else _json_of(task.head) for task in tasks],
                "causes": [task.cause for task in tasks],
                "now": now,
            },
        )

    async def next_work(self) -> RoundWork | None:
        """See the port."""
        batch = batch_of(self._tx)
        values = {"without": batch.without, "limit": batch.limit(1)}
        for round_id in await batch.claim(self._tx, _NEXT_WORK, values):
            return next(iter((await self.pending_work([round_id])).get(round_id, [])), None)
        return None

    async def pending_work(self, rounds: Iterable[UUID]) -> dict[UUID, list[RoundWork]]:
        """See the port."""
        found: dict[UUID, list[RoundWork]] = {}
        for row in await self._tx.execute(_PENDING_WORK, {"ids": sorted(set(rounds))}):
            found.setdefault(row.round_id, []).append(_work_of(row))
        return found

    async def save_work(self, task: RoundWork) -> None:
        """See the port."""
        await self._tx.execute(
            _SAVE_WORK,
            {
                "id": task.id,
                "phase": task.phase,
                "after": task.after_line,
                "budget": task.budget,
                "waiting": task.waiting,
                "fees": task.fees,
                "announced": task.announced,
            },
        )

    async def end_work(self, task: RoundWork) -> None:
        """See the port."""
        await self._tx.execute(_END_WORK, {"id": task.id})


def _key(key: tuple[UUID, int]) -> dict[str, Any]:
    return {"round": key[0], "version": key[1]}


def _keys(keys: Iterable[tuple[UUID, int]]) -> dict[str, Any]:
    wanted = sorted(set(keys))
    return {"rounds": [one for one, _ in wanted], "versions": [version for _, version in wanted]}


def _json_of(head: Settlement) -> str:
    return orjson.dumps(asdict(head)).decode()


def _line_of(row: Any) -> Line:
    return Line(row.line, row.player, row.place, row.amount, row.part)


def _head_of(document: dict[str, Any]) -> Settlement:
    return Settlement(
        **{
            **document,
            "round_id": UUID(document["round_id"]),
            "campaign": UUID(document["campaign"]),
            "final_at": datetime.fromisoformat(document["final_at"]),
            "parties": tuple((role, subject) for role, subject in document.get("parties", ())),
        }
    )


def _work_of(row: Any) -> RoundWork:
    return RoundWork(
        id=row.id,
        round_id=row.round_id,
        version=row.settlement_version,
        phase=Phase(row.phase),
        cause=row.cause,
        after_line=row.after_line,
        budget=row.budget,
        waiting=row.waiting,
        fees=row.fees,
        announced=row.told,
        head=None if row.head_json is None else _head_of(orjson.loads(row.head_json)),
        campaign=row.campaign,
    )


_OF = "round_id = :round AND settlement_version = :version"
_STAGED = text(
    "SELECT p.round_id, p.settlement_version, array_agg(p.part) AS parts, "
    "CAST((array_agg(p.head ORDER BY p.part))[1] AS text) AS head FROM staged_parts p "
    "JOIN unnest(CAST(:rounds AS uuid[]), CAST(:versions AS int[])) AS u(round_id, version) "
    "ON p.round_id = u.round_id AND p.settlement_version = u.version GROUP BY p.round_id, p.settlement_version"
)
_STAGE = text(
    "INSERT INTO staged_parts (round_id, settlement_version, part, parts, head, staged_at) "
    "SELECT u.round_id, u.version, u.part, u.parts, CAST(u.head AS jsonb), CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:rounds AS uuid[]), CAST(:versions AS int[]), CAST(:numbers AS int[]), "
    "CAST(:parts AS int[]), CAST(:heads AS text[])) AS u(round_id, version, part, parts, head)"
)
_UNSTAGE_LINES = text(
    f"DELETE FROM staged_lines WHERE {_OF} AND (CAST(:part AS int) IS NULL OR part = :part)"  # noqa: S608 - fixed words
)
_UNSTAGE_PARTS = text(
    f"DELETE FROM staged_parts WHERE {_OF} AND (CAST(:part AS int) IS NULL OR part = :part)"  # noqa: S608 - fixed words
)
_LINE_COLUMNS = f"SELECT line, player, place, amount, part FROM staged_lines WHERE {_OF}"  # noqa: S608 - fixed words
_LINES = text(f"{_LINE_COLUMNS} AND line > :after ORDER BY line LIMIT :limit")
_LINES_FOR = text(f"{_LINE_COLUMNS} AND player = ANY (CAST(:players AS text[]))")
_PLAYERS = text(f"SELECT count(DISTINCT player) FROM staged_lines WHERE {_OF}")  # noqa: S608 - fixed words
_HOLD = text(
    "UPDATE staged_lines s SET held = u.code FROM unnest(CAST(:lines AS int[]), CAST(:codes AS text[])) "
    "AS u(line, code) WHERE s.round_id = :round AND s.settlement_version = :version AND s.line = u.line"
)
_HOLDS = text(
    f"SELECT line, held FROM staged_lines WHERE {_OF} AND line > :after AND line <= :upto AND held IS NOT NULL"  # noqa: S608 - fixed words
)
_ADD_WORK = text(
    "INSERT INTO round_work (round_id, settlement_version, phase, after_line, budget, waiting, fees, told, head, "
    "cause, begun_at) "
    "SELECT u.round_id, u.version, u.phase, 0, u.budget, false, u.fees, u.announced, CAST(u.head AS jsonb), u.cause, "
    "CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:rounds AS uuid[]), CAST(:versions AS int[]), CAST(:phases AS text[]), "
    "CAST(:budgets AS bigint[]), CAST(:fees AS boolean[]), CAST(:announceds AS boolean[]), CAST(:heads AS text[]), "
    "CAST(:causes AS text[])) WITH ORDINALITY "
    "AS u(round_id, version, phase, budget, fees, announced, head, cause, n) ORDER BY u.n"
)
_WORK = (
    "SELECT w.*, CAST(w.head AS text) AS head_json, r.campaign FROM round_work w "
    "JOIN rounds r ON r.id = w.round_id"
)
# Work is done in the order of ids, so the first row is also the first of its round.
_NEXT_WORK = text(
    "SELECT round_id FROM round_work WHERE round_id <> ALL(CAST(:without AS uuid[])) ORDER BY id LIMIT :limit"
)
_PENDING_WORK = text(f"{_WORK} WHERE w.round_id = ANY (CAST(:ids AS uuid[])) ORDER BY w.id")
_SAVE_WORK = text(
    "UPDATE round_work SET phase = :phase, after_line = :after, budget = :budget, waiting = :waiting, "
    "fees = :fees, told = :announced WHERE id = :id"
)
_END_WORK = text("DELETE FROM round_work WHERE id = :id")
