"""Settled rounds over PostgreSQL, with their prizes, corrections and refusals."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from prizewire_chassis.batches import batch_of
from prizewire_chassis.db import Read, Write, fetch, later
from prizewire_contracts.ids import reward_id as reward_id_of
from prizewire_rewards.ledger.domain.records import Party
from prizewire_rewards.ledger.storage.receivables import parties_json, parties_of
from prizewire_rewards.prizes.domain.model import Line, RefusedRound, Reward, Round, Settlement
from prizewire_rewards.prizes.domain.states import RewardState, RoundState
from prizewire_rewards.prizes.storage.staging import SqlStaging


class SqlRounds(SqlStaging):
    """Rounds in one transaction, with their prizes, staged parts and work on large rounds."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Round]:
        """See the port."""
        rows = await fetch(self._tx, _LOCK, {"ids": sorted(set(ids))})
        return {row.id: _round_of(row) for row in rows}

    async def lock_settled(self, ids: Iterable[UUID]) -> tuple[dict[UUID, Round], frozenset[UUID]]:
        """See the port."""
        rows = await fetch(self._tx, _LOCK_SETTLED, {"ids": sorted(set(ids))})
        disowned = {row.asked for row in rows if row.disowned}
        # A disownment that committed while the statement waited for a lock voided its round; the statement does not see it.
        unsure = [
            row.id
            for row in rows
            if row.state == RoundState.VOIDED and row.id is not None and not row.disowned
        ]
        if unsure:
            found = await self._tx.execute(_DISOWNED, {"ids": unsure})
            disowned.update(found.scalars())
        return {row.id: _round_of(row) for row in rows if row.id is not None}, frozenset(disowned)

    async def lock_queue(self, campaign: UUID, *, limit: int) -> list[Round]:
        """See the port."""
        rows = await self._tx.execute(
            _LOCK_QUEUE, {"campaign": campaign, "limit": batch_of(self._tx).limit(limit)}
        )
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

    async def credited_before(self, ids: Iterable[UUID]) -> frozenset[UUID]:
        """See the port. Reads the credits of each prize's wallet since the round was settled, at least one index scan each."""
        rows = await self._tx.execute(_CREDITED, {"ids": sorted(set(ids))})
        return frozenset(rows.scalars())

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
_DISOWNED = text(
    "SELECT round_id FROM round_disownments WHERE round_id = ANY (CAST(:ids AS uuid[])) AND state = 'approved'"
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
# Two processes may have clocks that differ a little.
_CREDITED = text(
    "SELECT w.id FROM rewards w JOIN ledger_accounts a ON a.kind = 'wallet:winnings' AND a.owner = w.player "
    "AND a.asset = w.asset WHERE w.id = ANY (CAST(:ids AS uuid[])) AND EXISTS ("
    "SELECT 1 FROM ledger_transfers t JOIN ledger_groups g ON g.no = t.group_no WHERE t.credit_account = a.id "
    "AND t.credit_kind LIKE 'wallet:%' AND t.at >= w.settled_at - interval '1 minute' "
    "AND t.type IN ('prize_credited', 'prize_matured', 'claim_paid') "
    "AND split_part(g.cause, '/', 2) = CAST(w.round_id AS text))"
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
