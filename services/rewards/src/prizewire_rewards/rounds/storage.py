"""Disownments, and the sums of rounds, over PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.fees.domain import FeeSource
from prizewire_rewards.ledger.storage.accounts import Place, page_of_changes
from prizewire_rewards.prizes.storage.views import LINES_DIGEST
from prizewire_rewards.rounds.domain.commands import (
    BookedRound,
    CorrectRound,
    FinalizeRound,
    RoundSums,
    SettleRound,
)
from prizewire_rewards.rounds.domain.disownments import (
    Concern,
    Disownment,
    DisownmentState,
    ReturnedFee,
    SumOf,
    TakenBack,
)


class SqlDisownments:
    """Disownments in one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def add(self, disownment: Disownment) -> bool:
        """See the port."""
        added = await self._tx.execute(_ADD, {name: getattr(disownment, name) for name in _NAMES})
        return added.one_or_none() is not None

    async def newest(self, round_id: UUID) -> Disownment | None:
        """See the port."""
        row = (await self._tx.execute(_NEWEST, {"id": round_id})).one_or_none()
        return None if row is None else _disownment(row)

    async def lock(self, identifier: UUID) -> Disownment | None:
        """See the port."""
        row = (await self._tx.execute(_LOCK, {"id": identifier})).one_or_none()
        return None if row is None else _disownment(row)

    async def decide(self, disownment: Disownment) -> None:
        """See the port."""
        await self._tx.execute(_DECIDE, {name: getattr(disownment, name) for name in ("id", *_DECIDED)})

    async def record_void(self, round_id: UUID, *, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(_RECORD_VOID, {"id": round_id, "now": now})

    async def record_without_effect(self, command: SettleRound | FinalizeRound, *, now: datetime) -> None:
        """See the port."""
        part = reason = None
        if isinstance(command, FinalizeRound):
            what, round_id, version = "finalized", command.round_id, command.settlement_version
            correlation_id = command.correlation_id
        else:
            head = command.settlement
            round_id, version, correlation_id = head.round_id, head.settlement_version, head.correlation_id
            part = command.part
            what = "settled"
            if isinstance(command, CorrectRound):
                what, reason = "corrected", command.reason
        await self._tx.execute(
            _WITHOUT_EFFECT,
            {
                "event": command.cause,
                "round": round_id,
                "what": what,
                "version": version,
                "part": part,
                "reason": reason,
                "correlation": correlation_id,
                "now": now,
            },
        )

    async def concern(self, round_id: UUID, *, subject: str) -> Concern | None:
        """See the port."""
        found = (await self._tx.execute(_CONCERN, {"id": round_id, "subject": subject})).one()
        return next((why for why, yes in zip(Concern, found, strict=True) if yes), None)

    async def is_known(self, round_id: UUID) -> bool:
        """See the port."""
        return bool((await self._tx.execute(_KNOWS, {"id": round_id})).scalar_one())

    async def block_new_rounds(self) -> None:
        """See the port. The trigger of ``rounds`` takes the same lock, shared."""
        await self._tx.execute(_BLOCK_NEW_ROUNDS)


async def disownments(
    tx: AsyncConnection,
    *,
    state: DisownmentState | None,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[Disownment]:
    """List disownments, newest first, from those before a (time, id)."""
    at, identifier = before or (None, None)
    rows = await tx.execute(_PAGE, {"state": state, "at": at, "id": identifier, "limit": limit})
    return [_disownment(row) for row in rows]


async def disownment(tx: AsyncConnection, identifier: UUID) -> Disownment | None:
    """Find a disownment by its id."""
    row = (await tx.execute(_ONE, {"id": identifier})).one_or_none()
    return None if row is None else _disownment(row)


async def correlation_of(tx: AsyncConnection, round_id: UUID) -> str | None:
    """The correlation id of a round; None where rewards has not booked it."""
    found: str | None = (await tx.execute(_CORRELATION, {"id": round_id})).scalar_one_or_none()
    return found


async def taken_back(tx: AsyncConnection, disownment: Disownment) -> TakenBack | None:
    """Read what a disownment has taken back so far; None unless it is approved."""
    if disownment.state is not DisownmentState.APPROVED:
        return None
    values = {
        "id": disownment.round_id,
        "cause": disownment.cause,
        "since": disownment.decided_at,
        "owed": [f"disownment/{disownment.round_id}", f"disownment/{disownment.round_id}/organizer-fee"],
    }
    head = (await tx.execute(_HEAD, values)).one()
    entries = await _sums(tx, _ENTRIES_BACK, values)
    if not head.taken:
        return TakenBack(complete=head.complete, entries=entries)
    values["correlation"] = head.correlation_id
    return TakenBack(
        complete=head.complete,
        prizes=await _sums(tx, _PRIZES_BACK, values),
        fees=tuple(
            ReturnedFee(source=FeeSource(row.source), asset=row.asset, amount=int(row.amount))
            for row in await tx.execute(_FEES_BACK, values)
        ),
        entries=entries,
        to_pool=await _sums(tx, _TO_POOL, values),
        owed=await _sums(tx, _OWED, values),
        cancels=await _sums(tx, _CANCELS, values),
    )


async def _sums(tx: AsyncConnection, statement: TextClause, values: dict[str, Any]) -> tuple[SumOf, ...]:
    rows = await tx.execute(statement, values)
    return tuple(SumOf(asset=row.asset, count=row.number, amount=int(row.amount)) for row in rows)


def _disownment(row: Any) -> Disownment:
    values = {name: getattr(row, name) for name in _NAMES}
    return Disownment(**{**values, "state": DisownmentState(row.state)})


_DECIDED = ("state", "decided_by", "decided_at", "decision")


_NAMES = ("id", "round_id", "reason", "filed_by", "filed_at", *_DECIDED, "settlement_voided_at")


_ADD = text(
    f"INSERT INTO round_disownments ({', '.join(_NAMES)}) VALUES ({', '.join(':' + name for name in _NAMES)}) "  # noqa: S608 - our own columns
    "ON CONFLICT (round_id) WHERE state <> 'rejected' DO NOTHING RETURNING id"
)


_CORRELATION = text("SELECT correlation_id FROM rounds WHERE id = :id")
_ONE = text("SELECT * FROM round_disownments WHERE id = :id")


_LOCK = text("SELECT * FROM round_disownments WHERE id = :id FOR UPDATE")


_DECIDE = text(
    f"UPDATE round_disownments SET {', '.join(f'{name} = :{name}' for name in _DECIDED)} WHERE id = :id"  # noqa: S608 - our own columns
)


_NEWEST = text(
    "SELECT * FROM round_disownments WHERE round_id = :id ORDER BY state <> 'rejected' DESC, filed_at DESC, id DESC LIMIT 1"
)


_RECORD_VOID = text(
    "UPDATE round_disownments SET settlement_voided_at = :now "
    "WHERE round_id = :id AND state = 'approved' AND settlement_voided_at IS NULL"
)


_WITHOUT_EFFECT = text(
    "INSERT INTO disowned_events (event_id, round_id, what, settlement_version, part, reason, correlation_id, at) "
    "VALUES (:event, :round, :what, :version, :part, :reason, :correlation, :now) ON CONFLICT (event_id) DO NOTHING"
)


_PAGE = text(
    "SELECT * FROM round_disownments WHERE (CAST(:state AS text) IS NULL OR state = :state) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (filed_at, id) < (:at, CAST(:id AS uuid))) "
    "ORDER BY filed_at DESC, id DESC LIMIT :limit"
)


_BLOCK_NEW_ROUNDS = text("SELECT pg_advisory_xact_lock(hashtext('prizewire.round_births'))")


# In the order of ``Concern``.
_CONCERN = text(
    "SELECT EXISTS (SELECT 1 FROM rounds r JOIN rewards w ON w.player = :subject AND w.settled_at = r.settled_at "
    "AND w.round_id = r.id WHERE r.id = :id), "
    "EXISTS (SELECT 1 FROM rounds WHERE id = :id AND organizer_player = :subject), "
    "EXISTS (SELECT 1 FROM entries WHERE round_id = :id AND player = :subject AND state <> 'refused'), "
    "EXISTS (SELECT 1 FROM rounds r CROSS JOIN LATERAL jsonb_array_elements(r.parties) p "
    "WHERE r.id = :id AND p ->> 1 = :subject) "
    "OR EXISTS (SELECT 1 FROM rounds r JOIN source_parties s ON s.source = 'campaign/' || r.campaign "
    "WHERE r.id = :id AND s.subject = :subject)"
)


_KNOWS = text(
    "SELECT EXISTS (SELECT 1 FROM entry_rounds WHERE id = :id) "
    "OR EXISTS (SELECT 1 FROM staged_parts WHERE round_id = :id) "
    "OR EXISTS (SELECT 1 FROM round_refusals WHERE round_id = :id) "
    "OR EXISTS (SELECT 1 FROM stuck_events WHERE subject = CAST(CAST(:id AS uuid) AS text))"
)


# Whether this disownment took the round's prizes back, and not a void before it; and whether no job has more to do.
_HEAD = text(
    "SELECT r.correlation_id, r.id IS NOT NULL AND (EXISTS (SELECT 1 FROM transitions t WHERE t.subject = r.id "
    "AND t.machine = 'round' AND t.cause = :cause) OR EXISTS (SELECT 1 FROM round_work w WHERE w.round_id = r.id "
    "AND w.cause = :cause)) AS taken, "
    "NOT EXISTS (SELECT 1 FROM round_work w WHERE w.round_id = d.id) "
    "AND NOT EXISTS (SELECT 1 FROM entry_rounds x WHERE x.id = d.id AND x.closing) AS complete "
    "FROM (SELECT CAST(:id AS uuid) AS id) d LEFT JOIN rounds r ON r.id = d.id"
)


_PRIZES_BACK = text(
    "SELECT asset, count(*) AS number, sum(amount) AS amount FROM rewards "
    "WHERE round_id = :id AND line > 0 AND state = 'reversed' GROUP BY asset"
)


_FEES_BACK = text(
    "SELECT split_part(type, '_', 1) AS source, asset, sum(amount) AS amount FROM ledger_journal "
    "WHERE correlation_id = :correlation AND type IN ('platform_fee_reversed', 'organizer_fee_reversed') "
    "AND split_part(cause, '/', 2) = CAST(CAST(:id AS uuid) AS text) GROUP BY 1, 2 ORDER BY 1 DESC"
)


_TO_POOL = text(
    "SELECT asset, count(*) AS number, sum(amount) AS amount FROM ledger_journal "
    "WHERE correlation_id = :correlation AND type = 'prize_released' "
    "AND cause LIKE 'round/' || CAST(CAST(:id AS uuid) AS text) || '/%/void' GROUP BY asset"
)


_ENTRIES_BACK = text(
    "SELECT asset, count(*) AS number, sum(amount) AS amount FROM entries "
    "WHERE round_id = :id AND state = 'refunded' AND changed_at >= :since GROUP BY asset ORDER BY asset"
)


_OWED = text(
    "SELECT asset, count(*) AS number, sum(amount) AS amount FROM receivables "
    "WHERE correlation_id = :correlation AND cause = ANY (CAST(:owed AS text[])) GROUP BY asset"
)


# The cancellation was requested only for payouts of players with a debt of this disownment.
_CANCELS = text(
    "SELECT p.asset, count(*) AS number, sum(p.amount) AS amount FROM payouts p WHERE p.player IN ("
    "SELECT player FROM receivables WHERE correlation_id = :correlation AND cause = ANY (CAST(:owed AS text[]))) "
    "AND EXISTS (SELECT 1 FROM transitions t WHERE t.subject = p.id AND t.machine = 'payout' "
    "AND t.to_state = 'cancel_requested' AND t.cause = :cause) GROUP BY p.asset"
)


_ROUND_SUMS = text(
    "SELECT d.id AS round_id, d.settlement_version, d.state, d.final, d.campaign, d.asset, d.gross, d.settled_at, "
    "CASE WHEN d.queue_position IS NULL THEN 0 WHEN d.state = 'unfunded' THEN d.gross ELSE d.short END AS waits_for, "
    "s.prizes, s.prizes_total FROM rounds d CROSS JOIN LATERAL (SELECT count(*) AS prizes, "
    "CAST(coalesce(sum(x.amount), 0) AS bigint) AS prizes_total FROM rewards x "
    "WHERE x.round_id = d.id AND x.state <> 'reversed') s WHERE d.id = ANY (CAST(:ids AS uuid[])) ORDER BY d.id"
)


async def round_sums(tx: AsyncConnection, ids: Sequence[UUID]) -> list[RoundSums]:
    """Read the booked sums of these rounds."""
    rows = await tx.execute(_ROUND_SUMS, {"ids": list(ids)})
    return [RoundSums(**row) for row in rows.mappings()]


async def changed_rounds(
    tx: AsyncConnection, *, since: datetime | None, before: Place | None, limit: int
) -> list[BookedRound]:
    """List a page of the rounds that changed at ``since`` or later, the last change first."""
    statement, values = page_of_changes(_ROUND, since=since, before=before, limit=limit)
    return [BookedRound(**row) for row in (await tx.execute(statement, values)).mappings()]


# Voids and disownments have a further part in their causes.
_TAKEN_BACK = (
    "CAST((SELECT coalesce(sum(t.amount), 0) FROM ledger_journal t WHERE t.correlation_id = r.correlation_id "
    "AND t.type = 'prize_reversed' AND t.cause ~ format('^round/%s/[0-9]+$', r.id)) "
    "+ (SELECT coalesce(sum(v.amount), 0) FROM receivables v WHERE v.correlation_id = r.correlation_id "
    "AND v.cause LIKE format('correction/%s/%%', r.id)) AS bigint)"
)
_ROUND = (
    "SELECT id AS round_id, settlement_version, state, final, campaign, asset, gross, platform_fee, organizer_fee, "  # noqa: S608 - our own words
    "organizer_player, unclaimed, digest, stored_at AS changed_at, CASE WHEN NOT EXISTS "
    f"(SELECT 1 FROM round_work w WHERE w.round_id = r.id) THEN {LINES_DIGEST} END AS lines_digest, "
    f"CASE WHEN settlement_version > 1 THEN {_TAKEN_BACK} ELSE 0 END AS taken_back FROM rounds r"
)
