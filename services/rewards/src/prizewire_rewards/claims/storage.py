"""Claims over PostgreSQL. Amount and asset of a claim are read from its prize, its correlation id from its round."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.batches import batch_of
from prizewire_rewards.claims.domain import Claim, ClaimState, Finding, RuleName, Verdict


class SqlClaims:
    """Claims in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock_player(self, player: str) -> None:
        """See the port."""
        await self._tx.execute(_LOCK_PLAYER, {"player": player})

    async def find(self, reward_id: UUID) -> Claim | None:
        """See the port."""
        row = (await self._tx.execute(_FIND, {"ids": [reward_id]})).one_or_none()
        return None if row is None else _claim_of(row)

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Claim]:
        """See the port."""
        keys = sorted(set(ids))
        if not keys:
            return {}
        await self._tx.execute(_LOCK, {"ids": keys})
        # A separate statement sees what earlier holders of the locks committed.
        return {row.reward_id: _claim_of(row) for row in await self._tx.execute(_FIND, {"ids": keys})}

    async def add(self, claims: Sequence[Claim]) -> None:
        """See the port."""
        await self._tx.execute(
            _ADD, {f"{name}s": [getattr(claim, name) for claim in claims] for name, _ in _INSERTED}
        )

    async def save(self, claims: Sequence[Claim]) -> None:
        """See the port."""
        values: dict[str, Any] = {
            f"{name}s": [getattr(claim, name) for claim in claims] for name, _ in _DECIDED
        }
        values["reward_ids"] = [claim.reward_id for claim in claims]
        values["findings"] = [
            orjson.dumps([one._asdict() for one in claim.findings]).decode() for claim in claims
        ]
        values["rules"] = [claim.findings[0].rule if claim.findings else None for claim in claims]
        await self._tx.execute(_SAVE, values)

    async def due(self, state: ClaimState, *, now: datetime, limit: int) -> list[Claim]:
        """See the port."""
        batch = batch_of(self._tx)
        values = {"state": state, "now": now, "limit": batch.limit(limit), "without": batch.without}
        if batch.alone:
            rows = await self._tx.execute(_FIND, {"ids": await batch.claim(self._tx, _DUE_ID, values)})
        else:
            rows = await self._tx.execute(_DUE, values)
        return [_claim_of(row) for row in rows]

    async def recent(self, player: str, *, excluding: UUID, since: datetime, limit: int) -> int:
        """See the port. Counts claims that are not credited, and credits of prizes; reads at most ``limit`` rows of each."""
        values = {"player": player, "excluding": excluding, "since": since, "limit": limit}
        return min(limit, int((await self._tx.execute(_RECENT, values)).scalar_one()))

    async def sharing(self, claim: Claim, *, limit: int) -> list[str]:
        """See the port."""
        rows = await self._tx.execute(
            _SHARING, {"player": claim.player, "round_id": claim.round_id, "limit": limit}
        )
        return [str(player) for player in rows.scalars()]


async def list_claims(
    tx: AsyncConnection,
    *,
    player: str | None,
    campaign: UUID | None,
    state: str | None,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[Claim]:
    """List claims, last opened first. The statement has only the given conditions, so that each has its own plan."""
    values: dict[str, Any] = {"limit": limit}
    conditions: list[str] = []
    for name, value in (("player", player), ("campaign", campaign), ("state", state)):
        if value is not None:
            conditions.append(f"c.{name} = :{name}")
            values[name] = value
    if before is not None:
        conditions.append("(c.opened_at, c.reward_id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))")
        values["at"], values["id"] = before
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = " ORDER BY c.opened_at DESC, c.reward_id DESC LIMIT :limit"
    return [_claim_of(row) for row in await tx.execute(text(_WHOLE + where + order), values)]


async def count_claims(tx: AsyncConnection, *, now: datetime) -> dict[str, tuple[int, int]]:
    """Count by state the waiting claims, and those of them whose deadline has passed."""
    return {row.state: (row.total, row.late) for row in await tx.execute(_WAITING, {"now": now})}


async def count_held(tx: AsyncConnection) -> dict[str, int]:
    """Count the held claims by the rule with the most weight. It reads each held claim; persons decide about these."""
    return {row.rule: row.claims for row in await tx.execute(_HELD)}


def _claim_of(row: Any) -> Claim:
    findings = (
        Finding(RuleName(one["rule"]), Verdict(one["verdict"]), one["saw"], one["threshold"])
        for one in orjson.loads(row.findings_json)
    )
    return Claim(
        reward_id=row.reward_id,
        round_id=row.round_id,
        campaign=row.campaign,
        player=row.player,
        asset=row.asset,
        amount=row.amount,
        correlation_id=row.correlation_id,
        state=ClaimState(row.state),
        deadline=row.deadline,
        opened_at=row.opened_at,
        claimed_at=row.claimed_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        reason=row.reason,
        findings=tuple(findings),
        version=row.version,
        settings_version=row.settings_version,
    )


_INSERTED: tuple[tuple[str, str], ...] = (
    ("reward_id", "uuid"),
    ("round_id", "uuid"),
    ("campaign", "uuid"),
    ("player", "text"),
    ("state", "text"),
    ("deadline", "timestamptz"),
    ("opened_at", "timestamptz"),
    ("version", "int"),
    ("settings_version", "int"),
)
_DECIDED: tuple[tuple[str, str], ...] = (
    ("state", "text"),
    ("deadline", "timestamptz"),
    ("claimed_at", "timestamptz"),
    ("decided_at", "timestamptz"),
    ("decided_by", "text"),
    ("reason", "text"),
    ("version", "int"),
)
_WHOLE = (
    "SELECT c.*, CAST(c.findings AS text) AS findings_json, w.asset, w.amount - w.short AS amount, r.correlation_id FROM claims c "
    "JOIN rewards w ON w.id = c.reward_id JOIN rounds r ON r.id = c.round_id"
)
_LOCK_PLAYER = text("SELECT pg_advisory_xact_lock(hashtext('prizewire.claims'), hashtext(:player))")
_FIND = text(f"{_WHOLE} WHERE c.reward_id = ANY (CAST(:ids AS uuid[])) ORDER BY c.reward_id")
_LOCK = text(
    "SELECT reward_id FROM claims WHERE reward_id = ANY (CAST(:ids AS uuid[])) ORDER BY reward_id FOR UPDATE"
)
_ADD = text(
    f"INSERT INTO claims ({', '.join(name for name, _ in _INSERTED)}, findings) "  # noqa: S608 - our own columns
    "SELECT u.*, CAST('[]' AS jsonb) FROM unnest("
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _INSERTED)
    + ") AS u"
)
_SAVE = text(
    "UPDATE claims c SET "  # noqa: S608 - our own columns
    + ", ".join(f"{name} = u.{name}" for name, _ in _DECIDED)
    + ", rule = u.rule, findings = CAST(u.findings AS jsonb) FROM unnest(CAST(:reward_ids AS uuid[]), "
    + ", ".join(f"CAST(:{name}s AS {type_}[])" for name, type_ in _DECIDED)
    + ", CAST(:rules AS text[]), CAST(:findings AS text[])) AS u(reward_id, "
    + ", ".join(name for name, _ in _DECIDED)
    + ", rule, findings) WHERE c.reward_id = u.reward_id"
)
# The predicate of the index. A plan for all values of a parameter could not use the index otherwise.
_NOT_DECIDED = "c.state IN ('open', 'held')"
_WHERE_DUE = (
    f"WHERE c.state = :state AND {_NOT_DECIDED} AND c.deadline <= :now AND c.campaign = ("  # noqa: S608 - our own columns
    "SELECT f.campaign FROM claims f WHERE f.state = :state AND f.state IN ('open', 'held') AND f.deadline <= :now "
    "AND f.reward_id <> ALL(CAST(:without AS uuid[])) ORDER BY f.deadline, f.reward_id LIMIT 1) "
    "AND c.reward_id <> ALL(CAST(:without AS uuid[])) ORDER BY c.deadline, c.reward_id LIMIT :limit"
)
_DUE = text(f"{_WHOLE} {_WHERE_DUE}")
_DUE_ID = text(f"SELECT c.reward_id FROM claims c {_WHERE_DUE}")  # noqa: S608 - our own columns
_RECENT = text(
    "SELECT (SELECT count(*) FROM (SELECT c.claimed_at FROM claims c WHERE c.player = :player AND c.reward_id <> :excluding "
    "AND c.claimed_at >= :since AND c.state <> 'approved' LIMIT :limit) made) + ("
    "SELECT count(*) FROM ledger_accounts w CROSS JOIN LATERAL ("
    "SELECT t.type, t.at FROM ledger_transfers t WHERE t.credit_account = w.id AND t.credit_kind LIKE 'wallet:%' "
    "ORDER BY t.at DESC, t.seq DESC LIMIT :limit) n "
    "WHERE w.kind = 'wallet:winnings' AND w.owner = :player AND n.at >= :since AND n.type IN ('prize_credited', 'prize_matured', 'claim_paid'))"
)
_SHARING = text(
    "SELECT o.player FROM players me JOIN players o ON o.player <> me.player "
    "AND (o.device_hash = me.device_hash OR o.address_hash = me.address_hash) "
    "JOIN rounds r ON r.id = :round_id "
    "JOIN rewards w ON w.player = o.player AND w.settled_at = r.settled_at AND w.round_id = r.id "
    "WHERE me.player = :player ORDER BY o.player LIMIT :limit"
)
_HELD = text(
    f"SELECT c.rule, count(*) AS claims FROM claims c WHERE c.state = 'held' AND {_NOT_DECIDED} GROUP BY c.rule"  # noqa: S608 - our own columns
)
_WAITING = text(
    "SELECT state, count(*) AS total, count(*) FILTER (WHERE deadline <= :now) AS late FROM claims "
    "WHERE state IN ('open', 'held') GROUP BY state"
)
