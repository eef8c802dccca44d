"""Settled rounds, their prizes, and parts that wait for the others, over PostgreSQL."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import copy_rows
from prizewire_rewards.domain.model import Line, Reward, Round, Settlement
from prizewire_rewards.domain.states import RewardState, RoundState

__all__ = ["SqlRounds"]


class SqlRounds:
    """Rounds in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Round]:
        """Those that exist, locked in the order of their ids."""
        rows = await self._tx.execute(_LOCK, {"ids": sorted(set(ids))})
        return {row.id: _round_of(row) for row in rows}

    async def lock_queue(self, campaign: UUID, *, limit: int) -> list[Round]:
        """Waiting rounds of a locked campaign, longest first, locked."""
        rows = await self._tx.execute(_LOCK_QUEUE, {"campaign": campaign, "limit": limit})
        return [_round_of(row) for row in rows]

    async def rewards(self, rounds: Iterable[UUID]) -> dict[UUID, list[Reward]]:
        """The prizes of these rounds in line order; a round without prizes has an empty list."""
        keys = sorted(set(rounds))
        found: dict[UUID, list[Reward]] = {key: [] for key in keys}
        for row in await self._tx.execute(_REWARDS, {"ids": keys}):
            found[row.round_id].append(_reward_of(row))
        return found

    async def prizes(self, ids: Iterable[UUID]) -> dict[UUID, Reward]:
        """Single prizes by their ids."""
        rows = await self._tx.execute(_PRIZES, {"ids": sorted(set(ids))})
        return {row.id: _reward_of(row) for row in rows}

    async def add(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store new rounds with their prizes."""
        heads = [round_.settlement for round_ in rounds]
        await self._tx.execute(
            _ADD,
            {
                "now": now,
                "states": [round_.state for round_ in rounds],
                "queue_positions": [round_.queue_position for round_ in rounds],
                "versions": [round_.version for round_ in rounds],
                **{f"{name}s": [getattr(head, name) for head in heads] for name, _ in _HEAD},
            },
        )
        if not rewards:
            return
        asset_of = {head.round_id: head.asset for head in heads}
        await copy_rows(
            self._tx,
            table="rewards",
            columns=_REWARD,
            rows=[
                (
                    reward.id,
                    reward.round_id,
                    reward.line.part,
                    reward.line.line,
                    reward.line.player,
                    reward.line.place,
                    asset_of[reward.round_id],
                    reward.line.amount,
                    reward.state,
                    reward.transfer_id,
                    reward.note,
                    reward.payout_id,
                )
                for reward in rewards
            ],
        )

    async def save(self, rounds: Sequence[Round], rewards: Sequence[Reward], *, now: datetime) -> None:
        """Store the state of locked rounds and of prizes that moved on."""
        del now  # moments of change are in the history
        await self._tx.execute(
            _SAVE,
            {
                "ids": [round_.settlement.round_id for round_ in rounds],
                "states": [round_.state for round_ in rounds],
                "finals": [round_.settlement.final for round_ in rounds],
                "queue_positions": [round_.queue_position for round_ in rounds],
                "versions": [round_.version for round_ in rounds],
            },
        )
        if rewards:
            await self._tx.execute(
                _SAVE_REWARDS, {"ids": [reward.id for reward in rewards], **_moving(rewards)}
            )

    async def staged(
        self, rounds: Iterable[UUID]
    ) -> dict[UUID, dict[int, tuple[Settlement, tuple[Line, ...]]]]:
        """Parts that wait for the others, by round and part number."""
        found: dict[UUID, dict[int, tuple[Settlement, tuple[Line, ...]]]] = {}
        for row in await self._tx.execute(_STAGED, {"ids": sorted(set(rounds))}):
            lines = tuple(Line(*line) for line in orjson.loads(row.lines))
            found.setdefault(row.round_id, {})[row.part] = (_head_of(orjson.loads(row.head)), lines)
        return found

    async def stage(
        self, parts: Sequence[tuple[Settlement, int, tuple[Line, ...]]], *, now: datetime
    ) -> None:
        """Store parts until the round is whole."""
        await self._tx.execute(
            _STAGE,
            {
                "rounds": [head.round_id for head, _, _ in parts],
                "parts": [part for _, part, _ in parts],
                "heads": [orjson.dumps(asdict(head)).decode() for head, _, _ in parts],
                "lines": [orjson.dumps(lines, default=tuple).decode() for _, _, lines in parts],
                "now": now,
            },
        )

    async def unstage(self, rounds: Sequence[UUID]) -> None:
        """Drop the parts of rounds that are whole."""
        await self._tx.execute(_UNSTAGE, {"ids": list(rounds)})


def _moving(rewards: Sequence[Reward]) -> dict[str, Any]:
    """The columns of prizes that change after their birth."""
    return {
        "states": [reward.state for reward in rewards],
        "transfers": [reward.transfer_id for reward in rewards],
        "notes": [reward.note for reward in rewards],
        "payouts": [reward.payout_id for reward in rewards],
    }


def _round_of(row: Any) -> Round:
    values = row._mapping  # noqa: SLF001 - the documented name of a row's mapping
    head = Settlement(round_id=row.id, **{name: values[name] for name, _ in _HEAD if name != "round_id"})
    return Round(
        settlement=head,
        state=RoundState(row.state),
        version=row.version,
        queue_position=row.queue_position,
    )


def _reward_of(row: Any) -> Reward:
    return Reward(
        row.id,
        row.round_id,
        Line(row.line, row.player, row.place, row.amount, row.part),
        RewardState(row.state),
        row.transfer_id,
        row.note,
        row.payout_id,
    )


def _head_of(document: dict[str, Any]) -> Settlement:
    return Settlement(
        **{
            **document,
            "round_id": UUID(document["round_id"]),
            "campaign": UUID(document["campaign"]),
            "final_at": datetime.fromisoformat(document["final_at"]),
        }
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
_ARRAYS = ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _HEAD)
_LOCK = text("SELECT * FROM rounds WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
_LOCK_QUEUE = text(
    "SELECT * FROM rounds WHERE campaign = :campaign AND queue_position IS NOT NULL "
    "ORDER BY queue_position LIMIT :limit FOR UPDATE"
)
_REWARDS = text(
    "SELECT id, round_id, part, line, player, place, amount, state, transfer_id, note, payout_id FROM rewards "
    "WHERE round_id = ANY (CAST(:ids AS uuid[])) ORDER BY round_id, line"
)
_PRIZES = text(
    "SELECT id, round_id, part, line, player, place, amount, state, transfer_id, note, payout_id FROM rewards "
    "WHERE id = ANY (CAST(:ids AS uuid[]))"
)
_ADD = text(
    f"INSERT INTO rounds ({_COLUMNS}, state, queue_position, version, settled_at) "  # noqa: S608 - our own columns
    f"SELECT u.*, CAST(:now AS timestamptz) FROM unnest({_ARRAYS}, CAST(:states AS text[]), "
    "CAST(:queue_positions AS bigint[]), CAST(:versions AS int[])) AS u"
)
_REWARD = (
    "id",
    "round_id",
    "part",
    "line",
    "player",
    "place",
    "asset",
    "amount",
    "state",
    "transfer_id",
    "note",
    "payout_id",
)
_SAVE = text(
    "UPDATE rounds r SET state = u.state, final = u.final, queue_position = u.queue_position, "
    "version = u.version FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:finals AS boolean[]), "
    "CAST(:queue_positions AS bigint[]), CAST(:versions AS int[])) "
    "AS u(id, state, final, queue_position, version) WHERE r.id = u.id"
)
_SAVE_REWARDS = text(
    "UPDATE rewards r SET state = u.state, transfer_id = u.transfer_id, note = u.note, payout_id = u.payout_id "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:transfers AS uuid[]), "
    "CAST(:notes AS text[]), CAST(:payouts AS uuid[])) AS u(id, state, transfer_id, note, payout_id) "
    "WHERE r.id = u.id"
)
_STAGED = text(
    "SELECT round_id, part, CAST(head AS text) AS head, CAST(lines AS text) AS lines FROM round_parts "
    "WHERE round_id = ANY (CAST(:ids AS uuid[]))"
)
_STAGE = text(
    "INSERT INTO round_parts (round_id, part, head, lines, staged_at) "
    "SELECT u.round_id, u.part, CAST(u.head AS jsonb), CAST(u.lines AS jsonb), CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:rounds AS uuid[]), CAST(:parts AS int[]), CAST(:heads AS text[]), CAST(:lines AS text[])) "
    "AS u(round_id, part, head, lines)"
)
_UNSTAGE = text("DELETE FROM round_parts WHERE round_id = ANY (CAST(:ids AS uuid[]))")
