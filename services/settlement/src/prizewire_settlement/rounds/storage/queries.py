"""Reading queries: rounds and their history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.competitions.storage import RULE_COLUMNS, RuleReader
from prizewire_settlement.prizes.domain import Line, PlayerResult
from prizewire_settlement.rounds.domain.acceptance import results_of
from prizewire_settlement.rounds.domain.model import Round, RoundState
from prizewire_settlement.rounds.ports import (
    EndedRound,
    EntryTerms,
    Incomplete,
    RoundFilter,
    RoundRecord,
    SettledRound,
)
from prizewire_settlement.rounds.storage.rows import (
    PART_COLUMNS,
    ROUND_COLUMNS,
    disownment_of,
    line_of,
    part_of,
    refusal_of,
    round_of,
    settlement_of,
    transition_of,
)
from prizewire_settlement.rounds.storage.settled import settled_rounds

LINES_SHOWN_MAX = 1_000
"""Lines that come with a round; the rest is paged."""
LINES_IN_LINEAGE_MAX = 100
"""Lines of each settlement that a lineage shows."""
ROUNDS_SHOWN_MAX = 100
"""Rounds of one correlation id that a lineage shows."""


class PostgresQueries:
    """The port ``Queries`` over one transaction."""

    def __init__(self, tx: AsyncConnection, *, rules: RuleReader) -> None:
        self._tx = tx
        self._rules = rules

    async def round_page(
        self, wanted: RoundFilter, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Round]:
        """See the port."""
        conditions = ["true"]
        values: dict[str, Any] = {"limit": limit}
        for column, value in (
            ("competition_id", wanted.competition),
            ("state", None if wanted.state is None else wanted.state.value),
            ("match_id", wanted.match_id),
        ):
            if value is not None:
                conditions.append(f"{column} = :{column}")
                values[column] = value
        if wanted.incomplete:
            conditions.append("waiting_since IS NOT NULL")
        if wanted.refused:
            conditions.append("refused_at IS NOT NULL")
        if after is not None:
            conditions.append("(created_at, id) < (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid))")
            values |= {"after_at": after[0], "after_id": after[1]}
        where = " AND ".join(conditions)
        rows = await self._tx.execute(
            text(
                f"SELECT {ROUND_COLUMNS} FROM rounds WHERE {where} "  # noqa: S608 - literals; values are bound
                "ORDER BY created_at DESC, id DESC LIMIT :limit"
            ),
            values,
        )
        return [round_of(row) for row in rows]

    async def round(self, round_id: UUID) -> RoundRecord | None:
        """See the port."""
        row = (await self._tx.execute(_ROUND, {"id": round_id})).one_or_none()
        if row is None:
            return None
        found = round_of(row)
        (record,) = await self._records([found], newest_only=True, parts=found.waiting_since is not None)
        return record

    async def line_page(self, round_id: UUID, *, after: int, limit: int) -> tuple[Rule, list[Line]] | None:
        """See the port."""
        newest = (await self._tx.execute(_NEWEST_RULE, {"id": round_id})).one_or_none()
        if newest is None:
            return None
        place = {"version": newest.settlement_version, "after": after, "limit": limit}
        rows = await self._tx.execute(_LINE_PAGE, {"id": round_id, **place})
        return self._rules.rule(newest), [line_of(row) for row in rows]

    async def newest_lines(self, round_id: UUID) -> tuple[int, Rule, list[Line]] | None:
        """See the port."""
        newest = (await self._tx.execute(_NEWEST_RULE, {"id": round_id})).one_or_none()
        if newest is None:
            return None
        version: int = newest.settlement_version
        rows = await self._tx.execute(_LINES, {"id": round_id, "version": version})
        return version, self._rules.rule(newest), [line_of(row) for row in rows]

    async def rounds_of(self, correlation_id: str) -> list[RoundRecord]:
        """See the port."""
        rows = await self._tx.execute(
            _ROUNDS_OF, {"correlation_id": correlation_id, "limit": ROUNDS_SHOWN_MAX}
        )
        return await self._records([round_of(row) for row in rows], newest_only=False, parts=True)

    async def results_of(self, round_id: UUID, *, result_version: int, part: int) -> tuple[PlayerResult, ...]:
        """See the port."""
        place = {"id": round_id, "version": result_version, "part": part}
        document = (await self._tx.execute(_DOCUMENT, place)).scalar_one_or_none()
        return () if document is None else results_of(document)

    async def incomplete(self, *, until: datetime, limit: int) -> list[Incomplete]:
        """See the port."""
        rows = await self._tx.execute(_INCOMPLETE, {"until": until, "limit": limit})
        return [
            Incomplete(
                round=round_of(row), result_version=row.newest_version, here=row.here, parts=row.newest_parts
            )
            for row in rows
        ]

    async def incomplete_count(self, *, until: datetime) -> int:
        """See the port."""
        found: int = (await self._tx.execute(_INCOMPLETE_COUNT, {"until": until})).scalar_one()
        return found

    async def ended_page(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[EndedRound]:
        """See the port."""
        at, found = before if before is not None else (None, None)
        rows = await self._tx.execute(_ENDED, {"since": since, "at": at, "id": found, "limit": limit})
        return [
            EndedRound(
                round=round_of(row),
                ended_at=row.ended_at,
                campaign=row.settled_campaign,
                asset=self._rules.asset(row.settled_asset),
                gross=row.settled_gross,
                prizes=row.settled_prizes,
                lines_total=row.settled_lines,
            )
            for row in rows
        ]

    async def settled(self, ids: Sequence[UUID]) -> list[SettledRound]:
        """See the port."""
        return await settled_rounds(self._tx, ids, asset_of=self._rules.asset)

    async def entry_terms(self, ids: Sequence[UUID]) -> list[EntryTerms]:
        """See the port."""
        return [
            EntryTerms(
                round_id=row.id,
                state=RoundState(row.state),
                asset=None if row.entry_asset is None else self._rules.asset(row.entry_asset),
                fee=row.entry_amount,
            )
            for row in await self._tx.execute(_ENTRY_TERMS, {"ids": list(ids)})
        ]

    async def open_counts(self, *, most: int) -> dict[RoundState, int]:
        """See the port. Each count reads one index, about 0.1 s for a million rounds."""
        rows = await self._tx.execute(_OPEN_COUNTS, {"most": most})
        return {RoundState(row.state): row.rounds for row in rows}

    async def refused_count(self) -> int:
        """See the port."""
        found: int = (await self._tx.execute(_REFUSED_COUNT)).scalar_one()
        return found

    async def _records(self, rounds: Sequence[Round], *, newest_only: bool, parts: bool) -> list[RoundRecord]:
        """With the heads of result ``parts`` where they are asked for, and lines of the newest settlement alone or of
        each.
        """
        ids = {"ids": [found.id for found in rounds]}
        rules = {
            (row.competition_id, row.version): self._rules.rule(row)
            for row in await self._tx.execute(_RULES_OF, ids)
        }
        steps = [transition_of(row) for row in await self._tx.execute(_STEPS_OF, ids)]
        heads = [part_of(row) for row in await self._tx.execute(_PARTS_OF, ids)] if parts else []
        lines: dict[tuple[UUID, int], list[Line]] = {}
        shown = LINES_SHOWN_MAX if newest_only else LINES_IN_LINEAGE_MAX
        wanted = _NEWEST_LINES if newest_only else _LINES_OF
        for row in await self._tx.execute(wanted, {**ids, "limit": shown}):
            lines.setdefault((row.round_id, row.version), []).append(line_of(row))
        settled = (await self._tx.execute(_SETTLEMENTS_OF, ids)).all()
        refusals = [refusal_of(row) for row in await self._tx.execute(_REFUSALS_OF, ids)]
        disowned = {"ids": [found.id for found in rounds if found.disowned_at is not None]}
        disownments = (
            {row.round_id: disownment_of(row) for row in await self._tx.execute(_DISOWNMENTS_OF, disowned)}
            if disowned["ids"]
            else {}
        )
        return [
            RoundRecord(
                round=found,
                transitions=tuple(step for step in steps if step.round_id == found.id),
                parts=tuple(part for part in heads if part.round_id == found.id),
                settlements=tuple(
                    settlement_of(
                        row,
                        rule=rules[found.competition, row.rule_version],
                        lines=tuple(lines.get((row.round_id, row.version), ())),
                        source=found.source,
                    )
                    for row in settled
                    if row.round_id == found.id
                ),
                lines_total={row.version: row.lines_total for row in settled if row.round_id == found.id},
                refusals=tuple(refusal for refusal in refusals if refusal.round_id == found.id),
                disownment=disownments.get(found.id),
            )
            for found in rounds
        ]


_ROUND = text(f"SELECT {ROUND_COLUMNS} FROM rounds WHERE id = :id")  # noqa: S608 - see above
_ROUNDS_OF = text(
    f"SELECT {ROUND_COLUMNS} FROM rounds WHERE correlation_id = :correlation_id "  # noqa: S608 - see above
    "ORDER BY created_at, id LIMIT :limit"
)
_RULES_OF = text(
    f"SELECT DISTINCT {RULE_COLUMNS} FROM settlements s JOIN rounds d ON d.id = s.round_id "  # noqa: S608 - see above
    "JOIN competition_rules r ON r.competition_id = d.competition_id AND r.version = s.rule_version "
    "WHERE s.round_id = ANY(CAST(:ids AS uuid[]))"
)
_STEPS_OF = text(
    "SELECT * FROM round_steps WHERE round_id = ANY(CAST(:ids AS uuid[])) ORDER BY round_id, seq"
)
_PARTS_OF = text(
    f"SELECT {PART_COLUMNS} FROM round_results WHERE round_id = ANY(CAST(:ids AS uuid[])) "  # noqa: S608 - see above
    "ORDER BY round_id, result_version, part"
)
_SETTLEMENTS_OF = text(
    "SELECT * FROM settlements WHERE round_id = ANY(CAST(:ids AS uuid[])) ORDER BY round_id, version"
)
_REFUSALS_OF = text(
    "SELECT * FROM round_refusals WHERE round_id = ANY(CAST(:ids AS uuid[])) ORDER BY round_id, settlement_version"
)
_DISOWNMENTS_OF = text("SELECT * FROM round_disownments WHERE round_id = ANY(CAST(:ids AS uuid[]))")
_ENDED = text(
    f"SELECT {', '.join(f'd.{name}' for name in ROUND_COLUMNS.split(', '))}, t.at AS ended_at, "  # noqa: S608 - see above
    "s.campaign AS settled_campaign, s.asset AS settled_asset, s.gross AS settled_gross, "
    "s.net - s.unclaimed AS settled_prizes, s.lines_total AS settled_lines "
    "FROM round_transitions t JOIN rounds d ON d.id = t.round_id AND d.state_seq = t.seq "
    "JOIN settlements s ON s.round_id = d.id AND s.version = d.settlement_version "
    "WHERE t.to_state IN ('FINALIZED', 'VOIDED') "
    "AND (CAST(:since AS timestamptz) IS NULL OR t.at >= CAST(:since AS timestamptz)) "
    "AND (CAST(:at AS timestamptz) IS NULL "
    "OR (t.at, t.round_id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY t.at DESC, t.round_id DESC LIMIT :limit"
)
# Literal states, so that the plan uses the partial indexes.
_OPEN_COUNTS = text(
    " UNION ALL ".join(
        f"SELECT '{state}' AS state, count(*) AS rounds FROM (SELECT 1 FROM rounds "  # noqa: S608 - our own states
        f"WHERE state = '{state}' AND {condition} LIMIT :most) counted"
        for state, condition in (
            ("OPEN", "state IN ('OPEN', 'CLOSED', 'RESOLVED')"),
            ("CLOSED", "state IN ('OPEN', 'CLOSED', 'RESOLVED')"),
            ("RESOLVED", "state IN ('OPEN', 'CLOSED', 'RESOLVED')"),
            ("SETTLED", "true"),
        )
    )
)
_REFUSED_COUNT = text("SELECT count(*) FROM rounds WHERE refused_at IS NOT NULL")
_LINES_OF = text(
    "SELECT round_id, version, line, player, place, amount FROM settlement_lines "
    "WHERE round_id = ANY(CAST(:ids AS uuid[])) AND line <= :limit ORDER BY round_id, version, line"
)
_NEWEST_LINES = text(
    "SELECT l.round_id, l.version, l.line, l.player, l.place, l.amount FROM settlement_lines l "
    "JOIN rounds d ON d.id = l.round_id AND d.settlement_version = l.version "
    "WHERE l.round_id = ANY(CAST(:ids AS uuid[])) AND l.line <= :limit ORDER BY l.round_id, l.line"
)
_DOCUMENT = text(
    "SELECT document FROM round_results WHERE round_id = :id AND result_version = :version AND part = :part"
)
_INCOMPLETE = text(
    f"SELECT {ROUND_COLUMNS}, newest_version, here, newest_parts FROM rounds CROSS JOIN LATERAL ("  # noqa: S608 - see above
    "SELECT p.result_version AS newest_version, p.parts AS newest_parts, count(*) AS here FROM round_results p "
    "WHERE p.round_id = rounds.id AND p.parts > 1 "
    "AND (p.reason IS NULL) = (rounds.settlement_version = 0) "
    "AND p.result_version > coalesce(rounds.result_version, 0) "
    "GROUP BY p.result_version, p.parts ORDER BY p.result_version DESC, max(p.received_at) DESC LIMIT 1"
    ") AS newest WHERE waiting_since <= :until ORDER BY waiting_since, id LIMIT :limit"
)
_INCOMPLETE_COUNT = text("SELECT count(*) FROM rounds WHERE waiting_since <= :until")
_NEWEST_RULE = text(
    f"SELECT s.version AS settlement_version, {RULE_COLUMNS} FROM settlements s JOIN rounds d ON d.id = s.round_id "  # noqa: S608 - see above
    "JOIN competition_rules r ON r.competition_id = d.competition_id AND r.version = s.rule_version "
    "WHERE s.round_id = :id ORDER BY s.version DESC LIMIT 1"
)
_LINES = text(
    "SELECT line, player, place, amount FROM settlement_lines WHERE round_id = :id AND version = :version ORDER BY line"
)
_LINE_PAGE = text(
    "SELECT line, player, place, amount FROM settlement_lines "
    "WHERE round_id = :id AND version = :version AND line > :after ORDER BY line LIMIT :limit"
)
_ENTRY_TERMS = text(
    "SELECT d.id, d.state, r.entry_asset, r.entry_amount FROM rounds d JOIN competition_rules r "
    "ON r.competition_id = d.competition_id AND r.version = d.rule_version "
    "WHERE d.id = ANY(CAST(:ids AS uuid[])) ORDER BY d.id"
)
