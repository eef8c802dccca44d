"""Prizes over PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Write, later
from prizewire_contracts.ids import reward_id as reward_id_of
from prizewire_rewards.prizes.domain.model import Line, Reward
from prizewire_rewards.prizes.domain.states import RewardState


class SqlRewards:
    """Prizes in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def rewards(self, rounds: Iterable[UUID]) -> dict[UUID, list[Reward]]:
        """The prizes of these rounds in line order; a round without prizes has an empty list."""
        keys = sorted(set(rounds))
        found: dict[UUID, list[Reward]] = {key: [] for key in keys}
        for row in await self._tx.execute(_REWARDS, {"ids": keys}):
            found[row.round_id].append(_reward_of(row))
        return found

    async def prizes(self, ids: Iterable[UUID]) -> dict[UUID, Reward]:
        """Single prizes by their ids."""
        rows = await self._tx.execute(_REWARDS_BY_ID, {"ids": sorted(set(ids))})
        return {row.id: _reward_of(row) for row in rows}

    async def reward(self, reward_id: UUID) -> Reward | None:
        """See the port."""
        row = (await self._tx.execute(_REWARD_ONE, {"id": reward_id})).one_or_none()
        return None if row is None else _reward_of(row)

    async def chunk(
        self, round_id: UUID, *, after: int, limit: int, before_version: int | None = None
    ) -> list[Reward]:
        """See the port."""
        values = {"id": round_id, "after": after, "limit": limit, "before": before_version}
        return [_reward_of(row) for row in await self._tx.execute(_CHUNK, values)]

    async def rewards_of(self, round_id: UUID, *, players: Iterable[str]) -> dict[str, Reward]:
        """The prizes of some players."""
        keys = [reward_id_of(round_id=round_id, player=player) for player in players]
        rows = await self._tx.execute(_REWARDS_BY_ID, {"ids": keys})
        return {row.player: _reward_of(row) for row in rows}

    async def shortage(self, round_id: UUID) -> int:
        """See the port."""
        return int((await self._tx.execute(_SHORTAGE, {"id": round_id})).scalar_one())

    async def _append(
        self, rewards: Sequence[Reward], *, assets: Mapping[UUID, str], settled: Mapping[UUID, datetime]
    ) -> None:
        lines = [reward.line for reward in rewards]
        await later(
            self._tx,
            _REWARD,
            {
                "ids": [reward.id for reward in rewards],
                "rounds": [reward.round_id for reward in rewards],
                "parts": [line.part for line in lines],
                "lines": [line.line for line in lines],
                "players": [line.player for line in lines],
                "places": [line.place for line in lines],
                "assets": [assets[reward.round_id] for reward in rewards],
                "settled_ats": [settled[reward.round_id] for reward in rewards],
                "amounts": [line.amount for line in lines],
                "states": [reward.state for reward in rewards],
                "transfers": [reward.transfer_id for reward in rewards],
                "notes": [reward.note for reward in rewards],
                "payouts": [reward.payout_id for reward in rewards],
            },
        )

    async def _save_rewards(self, rewards: Sequence[Reward]) -> None:
        """Store the state of prizes, and their lines where a correction changed them."""
        first = [reward for reward in rewards if reward.version == 1]
        if first:
            await self._tx.execute(
                _SAVE_REWARDS, {"ids": [reward.id for reward in first], **_changing_columns(first)}
            )
        later = [reward for reward in rewards if reward.version > 1]
        if later:
            await self._save_corrected(later)

    async def _save_corrected(self, rewards: Sequence[Reward]) -> None:
        """Store prizes with their lines in one statement: the database checks that ``short`` is at most the amount."""
        await self._tx.execute(
            _SAVE_CORRECTED,
            {
                "ids": [reward.id for reward in rewards],
                "parts": [reward.line.part for reward in rewards],
                "lines": [reward.line.line for reward in rewards],
                "places": [reward.line.place for reward in rewards],
                "amounts": [reward.line.amount for reward in rewards],
                "versions": [reward.version for reward in rewards],
                **_changing_columns(rewards),
            },
        )

    async def add_rewards(self, rewards: Sequence[Reward], *, assets: Mapping[UUID, str]) -> None:
        """See the port."""
        if not rewards:
            return
        ids = sorted({reward.round_id for reward in rewards})
        settled = {row.id: row.settled_at for row in await self._tx.execute(_SETTLED_AT, {"ids": ids})}
        await self._append(rewards, assets=assets, settled=settled)
        later = [reward for reward in rewards if reward.version > 1 or reward.short]
        if later:
            # The insert has only columns of prizes of the first version that are not short, as most prizes are.
            await self._save_corrected(later)


def _changing_columns(rewards: Sequence[Reward]) -> dict[str, Any]:
    """The columns of prizes that change after the insert."""
    return {
        "states": [reward.state for reward in rewards],
        "transfers": [reward.transfer_id for reward in rewards],
        "notes": [reward.note for reward in rewards],
        "payouts": [reward.payout_id for reward in rewards],
        "ordinals": [reward.payout_ordinal for reward in rewards],
        "shorts": [reward.short for reward in rewards],
    }


def _reward_of(row: Any) -> Reward:
    return Reward(
        row.id,
        row.round_id,
        Line(row.line, row.player, row.place, row.amount, row.part),
        RewardState(row.state),
        row.transfer_id,
        row.note,
        row.payout_id,
        row.short,
        row.settlement_version,
        row.payout_ordinal,
    )


_REWARD_COLUMNS = (
    "SELECT id, round_id, part, line, player, place, amount, state, transfer_id, note, payout_id, short, "
    "settlement_version, payout_ordinal FROM rewards"
)
_REWARDS = text(f"{_REWARD_COLUMNS} WHERE round_id = ANY (CAST(:ids AS uuid[])) ORDER BY round_id, line")
_REWARD_ONE = text(f"{_REWARD_COLUMNS} WHERE id = :id")
_REWARDS_BY_ID = text(f"{_REWARD_COLUMNS} WHERE id = ANY (CAST(:ids AS uuid[]))")
_CHUNK = text(
    f"{_REWARD_COLUMNS} WHERE round_id = :id AND line > :after "
    "AND (CAST(:before AS int) IS NULL OR settlement_version < :before) ORDER BY line LIMIT :limit"
)
_SHORTAGE = text(
    "SELECT coalesce(sum(short), 0) FROM rewards WHERE round_id = :id AND short > 0 AND line > 0"
)
_REWARD = Write(
    "rewards",
    "INSERT INTO rewards (id, round_id, part, line, player, place, asset, amount, state, transfer_id, note, payout_id, "
    "settled_at) "
    "SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:rounds AS uuid[]), CAST(:parts AS int[]), "
    "CAST(:lines AS int[]), CAST(:players AS text[]), CAST(:places AS int[]), CAST(:assets AS text[]), "
    "CAST(:amounts AS bigint[]), CAST(:states AS text[]), CAST(:transfers AS uuid[]), CAST(:notes AS text[]), "
    "CAST(:payouts AS uuid[]), CAST(:settled_ats AS timestamptz[]))",
)
_SETTLED_AT = text("SELECT id, settled_at FROM rounds WHERE id = ANY (CAST(:ids AS uuid[]))")
_SAVE_REWARDS = text(
    "UPDATE rewards r SET state = u.state, transfer_id = u.transfer_id, note = u.note, payout_id = u.payout_id, "
    "payout_ordinal = u.payout_ordinal, short = u.short "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:transfers AS uuid[]), "
    "CAST(:notes AS text[]), CAST(:payouts AS uuid[]), CAST(:ordinals AS int[]), CAST(:shorts AS bigint[])) "
    "AS u(id, state, transfer_id, note, payout_id, payout_ordinal, short) WHERE r.id = u.id"
)
_SAVE_CORRECTED = text(
    "UPDATE rewards r SET state = u.state, transfer_id = u.transfer_id, note = u.note, payout_id = u.payout_id, "
    "payout_ordinal = u.payout_ordinal, short = u.short, part = u.part, line = u.line, place = u.place, "
    "amount = u.amount, settlement_version = u.version "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:transfers AS uuid[]), "
    "CAST(:notes AS text[]), CAST(:payouts AS uuid[]), CAST(:ordinals AS int[]), CAST(:shorts AS bigint[]), "
    "CAST(:parts AS int[]), CAST(:lines AS int[]), CAST(:places AS int[]), CAST(:amounts AS bigint[]), "
    "CAST(:versions AS int[])) AS u(id, state, transfer_id, note, payout_id, payout_ordinal, short, part, line, "
    "place, amount, version) WHERE r.id = u.id"
)
