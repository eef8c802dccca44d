"""Settled rounds over PostgreSQL, with their corrections and refusals."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Read, Write, fetch, later
from prizewire_rewards.ledger.domain.records import Party
from prizewire_rewards.ledger.storage.receivables import parties_json, parties_of
from prizewire_rewards.prizes.domain.model import RefusedRound, Reward, Round, Settlement
from prizewire_rewards.prizes.domain.states import RoundState
from prizewire_rewards.prizes.storage.rewards import SqlRewards
from prizewire_rewards.prizes.storage.staging import SqlStaging


class SqlRounds(SqlStaging, SqlRewards):
    """Rounds in one transaction, with their prizes, staged parts and work on large rounds."""

    def __init__(self, tx: AsyncConnection) -> None:
        super().__init__(tx)

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Round]:
        """See the port."""
        rows = await fetch(self._tx, _LOCK, {"ids": sorted(set(ids))})
        return {row.id: _round_of(row) for row in rows}

    async def lock_settled(self, ids: Iterable[UUID]) -> tuple[dict[UUID, Round], frozenset[UUID]]:
        """See the port."""
        rows = await fetch(self._tx, _LOCK_SETTLED, {"ids": sorted(set(ids))})
        disowned = frozenset(row.asked for row in rows if row.disowned)
        return {row.id: _round_of(row) for row in rows if row.id is not None}, disowned

    async def lock_queue(self, campaign: UUID, *, limit: int) -> list[Round]:
        """See the port."""
        rows = await self._tx.execute(_LOCK_QUEUE, {"campaign": campaign, "limit": limit})
        return [_round_of(row) for row in rows]

    async def add(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store new rounds with their prizes."""
        heads = [round_.settlement for round_ in rounds]
        await later(
            self._tx,
            _ADD,
            {
                "now": now,
                "states": [round_.state for round_ in rounds],
                "queue_positions": [round_.queue_position for round_ in rounds],
                "versions": [round_.version for round_ in rounds],
                "parties": [parties_json(head.parties) for head in heads],
                **{f"{name}s": [getattr(head, name) for head in heads] for name, _ in _HEAD},
            },
        )
        if rewards:
            await self._append(
                rewards,
                assets={head.round_id: head.asset for head in heads},
                settled={head.round_id: now for head in heads},
            )

    async def save(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """See the port."""
        heads = [round_.settlement for round_ in rounds]
        corrected = any(head.settlement_version > 1 for head in heads)
        await self._tx.execute(
            _SAVE,
            {
                "now": now,
                "ids": [head.round_id for head in heads],
                "states": [round_.state for round_ in rounds],
                "finals": [head.final for head in heads],
                "queue_positions": [round_.queue_position for round_ in rounds],
                "shorts": [round_.short for round_ in rounds],
                "versions": [round_.version for round_ in rounds],
            },
        )
        if corrected:
            await self._tx.execute(
                _SAVE_HEADS,
                {
                    "ids": [head.round_id for head in heads],
                    "settlement_versions": [head.settlement_version for head in heads],
                    "unclaimeds": [head.unclaimed for head in heads],
                    "parts": [head.parts for head in heads],
                    "totals": [head.lines_total for head in heads],
                    "digests": [head.digest for head in heads],
                    "parties": [parties_json(head.parties) for head in heads],
                },
            )
        await self._save_rewards(rewards)

    async def record_correction(
        self, settlement: Settlement, *, reason: str, cause: str, now: datetime
    ) -> None:
        """See the port."""
        await self._tx.execute(
            _CORRECTED,
            {
                "round": settlement.round_id,
                "version": settlement.settlement_version,
                "asset": settlement.asset,
                "total": settlement.lines_total,
                "unclaimed": settlement.unclaimed,
                "reason": reason,
                "cause": cause,
                "correlation": settlement.correlation_id,
                "now": now,
            },
        )

    async def refused(self, ids: Iterable[UUID]) -> dict[UUID, list[int]]:
        """The refused settlement versions of these rounds."""
        found: dict[UUID, list[int]] = {}
        for row in await self._tx.execute(_REFUSED, {"ids": sorted(set(ids))}):
            found.setdefault(row.round_id, []).append(row.settlement_version)
        return found

    async def refuse(self, refused: Sequence[RefusedRound], *, now: datetime) -> None:
        """See the port."""
        heads = [one.settlement for one in refused]
        await self._tx.execute(
            _REFUSE,
            {
                "rounds": [head.round_id for head in heads],
                "settlement_versions": [head.settlement_version for head in heads],
                "parts": [one.part for one in refused],
                "codes": [one.code for one in refused],
                "details": [one.detail for one in refused],
                "campaigns": [head.campaign for head in heads],
                "assets": [head.asset for head in heads],
                "matches": [head.match_id for head in heads],
                "versions": [one.version for one in refused],
                "causes": [one.cause for one in refused],
                "correlations": [head.correlation_id for head in heads],
                "now": now,
            },
        )

    async def add_party(self, round_id: UUID, party: Party) -> None:
        """See the port."""
        await self._tx.execute(_ADD_PARTY, {"id": round_id, "party": parties_json([party])})

    async def campaigns_of(self, ids: Iterable[UUID]) -> dict[UUID, UUID]:
        """The campaigns of those rounds that exist."""
        rows = await self._tx.execute(_CAMPAIGNS_OF, {"ids": sorted(set(ids))})
        return {row.id: row.campaign for row in rows}


def _round_of(row: Any) -> Round:
    head = Settlement(
        round_id=row.id,
        parties=parties_of(row.parties_json),
        **{name: getattr(row, name) for name, _ in _HEAD if name != "round_id"},
    )
    return Round(
        settlement=head,
        state=RoundState(row.state),
        version=row.version,
        queue_position=row.queue_position,
        short=row.short,
    )


_HEAD: tuple[tuple[str, str], ...] = (
    ("round_id", "uuid"),
    ("match_id", "text"),
    ("match_source", "text"),
    ("competition", "text"),
    ("correlation_id", "text"),
    ("settlement_version", "int"),
    ("rule_version", "int"),
    ("campaign", "uuid"),
    ("asset", "text"),
    ("gross", "bigint"),
    ("platform_fee", "bigint"),
    ("organizer_fee", "bigint"),
    ("organizer_player", "text"),
    ("net", "bigint"),
    ("unclaimed", "bigint"),
    ("parts", "int"),
    ("lines_total", "int"),
    ("digest", "text"),
    ("final", "boolean"),
    ("final_at", "timestamptz"),
)
_COLUMNS = ", ".join(name if name != "round_id" else "id" for name, _ in _HEAD)
_INSERTED = f"{_COLUMNS}, state, queue_position, version"
_ADD_PARTY = text(
    "UPDATE rounds SET parties = parties || CAST(:party AS jsonb) WHERE id = :id "
    "AND NOT parties @> CAST(:party AS jsonb)"
)
_ARRAYS = ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _HEAD)
_LOCK = Read(
    "SELECT *, CAST(parties AS text) AS parties_json FROM rounds "
    "WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE"
)
_LOCK_SETTLED = Read(
    "SELECT u.id AS asked, d.id IS NOT NULL AS disowned, r.* FROM unnest(CAST(:ids AS uuid[])) u(id) LEFT JOIN ("
    "SELECT *, CAST(parties AS text) AS parties_json FROM rounds "
    "WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE) r ON r.id = u.id "
    "LEFT JOIN round_disownments d ON d.round_id = u.id AND d.state = 'approved' "
    "WHERE r.id IS NOT NULL OR d.id IS NOT NULL"
)
_LOCK_QUEUE = text(
    "SELECT *, CAST(parties AS text) AS parties_json FROM rounds WHERE campaign = :campaign AND queue_position IS NOT NULL "
    "ORDER BY queue_position LIMIT :limit FOR UPDATE"
)
_CORRECTED = text(
    "INSERT INTO corrections (round_id, settlement_version, asset, lines_total, unclaimed, reason, cause, "
    "correlation_id, at) VALUES (:round, :version, :asset, :total, :unclaimed, :reason, :cause, :correlation, :now)"
)
_REFUSED = text(
    "SELECT round_id, settlement_version FROM round_refusals WHERE round_id = ANY (CAST(:ids AS uuid[])) "
    "ORDER BY round_id, settlement_version"
)
_REFUSE = text(
    "INSERT INTO round_refusals (round_id, settlement_version, part, code, detail, campaign, asset, match_id, version, "
    "cause, correlation_id, at) SELECT u.*, CAST(:now AS timestamptz) FROM unnest(CAST(:rounds AS uuid[]), "
    "CAST(:settlement_versions AS int[]), CAST(:parts AS int[]), CAST(:codes AS text[]), CAST(:details AS text[]), "
    "CAST(:campaigns AS uuid[]), CAST(:assets AS text[]), CAST(:matches AS text[]), CAST(:versions AS int[]), "
    "CAST(:causes AS text[]), CAST(:correlations AS text[])) AS u"
)
_CAMPAIGNS_OF = text("SELECT id, campaign FROM rounds WHERE id = ANY (CAST(:ids AS uuid[]))")
_ADD = Write(
    "rounds",
    f"INSERT INTO rounds ({_INSERTED}, parties, settled_at, changed_at) "  # noqa: S608 - our own columns
    f"SELECT {', '.join('u.' + name for name in _INSERTED.split(', '))}, CAST(u.parties AS jsonb), "
    f"CAST(:now AS timestamptz), CAST(:now AS timestamptz) FROM unnest({_ARRAYS}, CAST(:states AS text[]), "
    f"CAST(:queue_positions AS bigint[]), CAST(:versions AS int[]), CAST(:parties AS text[])) AS u({_INSERTED}, parties)",
)
_SAVE = text(
    "UPDATE rounds r SET state = u.state, final = u.final, queue_position = u.queue_position, short = u.short, "
    "version = u.version, changed_at = CAST(:now AS timestamptz) FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:finals AS boolean[]), "
    "CAST(:queue_positions AS bigint[]), CAST(:shorts AS bigint[]), CAST(:versions AS int[])) "
    "AS u(id, state, final, queue_position, short, version) WHERE r.id = u.id"
)
_SAVE_HEADS = text(
    "UPDATE rounds r SET settlement_version = u.settlement_version, unclaimed = u.unclaimed, parts = u.parts, "
    "lines_total = u.lines_total, digest = u.digest, parties = CAST(u.parties AS jsonb) "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:settlement_versions AS int[]), CAST(:unclaimeds AS bigint[]), "
    "CAST(:parts AS int[]), CAST(:totals AS int[]), CAST(:digests AS text[]), CAST(:parties AS text[])) "
    "AS u(id, settlement_version, unclaimed, parts, lines_total, digest, parties) "
    "WHERE r.id = u.id AND r.settlement_version <> u.settlement_version"
)
