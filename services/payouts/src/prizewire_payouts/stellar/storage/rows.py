"""Rows of attempts and payments: read, locked and moved. Every move is checked against the table of edges and stored."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_payouts.metrics import STELLAR_STEPS
from prizewire_payouts.stellar.domain.model import ChainAsset, Kind, Payment, TransactionAttempt
from prizewire_payouts.stellar.domain.states import HOLDING, PaymentState, TransactionState, check_step

HOLDING_STATES = sorted(HOLDING)

_ATTEMPT = (
    "SELECT a.*, s.sequence AS slot_sequence, c.sequence AS channel_sequence, "
    "(SELECT max(r.max_time) FROM stellar_attempts r WHERE r.slot_id = a.slot_id) AS slot_max_time "
    "FROM stellar_attempts a JOIN stellar_channels c USING (account) LEFT JOIN stellar_slots s USING (slot_id) "
)
_DUE = text(
    _ATTEMPT + "WHERE a.state = ANY(CAST(:states AS text[])) AND a.due_at <= :now ORDER BY a.attempt_id"
)
_ONE = text(_ATTEMPT + "WHERE a.attempt_id = :attempt")
_FIRST_DUE = text("SELECT min(due_at) FROM stellar_attempts WHERE state = :state")
_LOCK = text("SELECT 1 FROM stellar_attempts WHERE attempt_id = :attempt FOR UPDATE")
_INSERT = text(
    "INSERT INTO stellar_attempts (account, kind, memo, state, slot_id, revision, due_at, leased_at, changed_at) "
    "VALUES (:account, :kind, :memo, 'leased', :slot, :revision, :due, :now, :now) RETURNING attempt_id"
)
REST_CHANNEL = text(
    "UPDATE stellar_channels SET rest_until = :until, rest_reason = :reason WHERE account = :account"
)
_NOTE = text(
    "INSERT INTO stellar_transitions (attempt_id, from_state, to_state, reason, cause, at) "
    "VALUES (:attempt, :old, :new, :reason, :cause, :now)"
)


def attempt_of(row: Row[Any], payments: Sequence[Payment] = ()) -> TransactionAttempt:
    """An attempt from its row, joined with its channel and slot."""
    return TransactionAttempt(
        attempt_id=row.attempt_id,
        state=TransactionState(row.state),
        kind=Kind(row.kind),
        account=row.account,
        memo=row.memo,
        slot_id=row.slot_id,
        sequence=row.slot_sequence,
        revision=row.revision,
        channel_sequence=row.channel_sequence,
        slot_max_time=row.slot_max_time,
        payments=tuple(payments),
        tx_hash=row.tx_hash,
        max_time=row.max_time,
        unsigned_xdr=row.unsigned_xdr,
        signed_xdr=row.signed_xdr,
        sent_ledger=row.sent_ledger,
        checked_ledger=row.asked_ledger,
    )


async def due_attempts(
    tx: AsyncConnection, states: Iterable[TransactionState], *, now: datetime
) -> list[Row[Any]]:
    """Attempts in ``states`` whose moment has come, oldest first; at most one for each channel."""
    return list(await tx.execute(_DUE, {"states": [str(state) for state in states], "now": now}))


async def first_due(tx: AsyncConnection, state: TransactionState) -> datetime | None:
    """When the first attempt in ``state`` is due."""
    moment: datetime | None = (await tx.execute(_FIRST_DUE, {"state": str(state)})).scalar_one()
    return moment


async def lock_attempt(tx: AsyncConnection, attempt_id: int) -> Row[Any]:
    """The attempt in its present state, locked until the transaction ends."""
    await tx.execute(_LOCK, {"attempt": attempt_id})
    return (await tx.execute(_ONE, {"attempt": attempt_id})).one()


async def move(
    tx: AsyncConnection, row: Row[Any], new: TransactionState, *, cause: str, now: datetime, **values: Any
) -> None:
    """Take a locked attempt along an edge, with what comes with it.

    Raises:
        IllegalStep: the table has no such edge.
    """
    old = TransactionState(row.state)
    reason = check_step(old=old, new=new)
    columns = {"due_at": None, **values, "state": str(new), "changed_at": now}
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    await tx.execute(
        text(f"UPDATE stellar_attempts SET {assignments} WHERE attempt_id = :attempt"),  # noqa: S608 - column names of our own
        {**columns, "attempt": row.attempt_id},
    )
    await _note(tx, row.attempt_id, str(old), new, reason=reason, cause=cause, now=now)


async def insert_attempt(
    tx: AsyncConnection,
    *,
    account: str,
    kind: Kind = Kind.PAYMENT,
    memo: str,
    slot_id: UUID | None,
    revision: int | None,
    due_at: datetime,
    cause: str,
    now: datetime,
) -> int:
    """Lease a channel, or its open slot for the next revision; the unique index admits one holder for a channel."""
    found = await tx.execute(
        _INSERT,
        {
            "account": account,
            "kind": str(kind),
            "memo": memo,
            "slot": slot_id,
            "revision": revision,
            "due": due_at,
            "now": now,
        },
    )
    attempt_id: int = found.scalar_one()
    reason = "a channel without a holder and payments without an open attempt, in one transaction"
    await _note(tx, attempt_id, "", TransactionState.LEASED, reason=reason, cause=cause, now=now)
    return attempt_id


async def _note(
    tx: AsyncConnection,
    attempt_id: int,
    old: str,
    new: TransactionState,
    *,
    reason: str,
    cause: str,
    now: datetime,
) -> None:
    await tx.execute(
        _NOTE,
        {
            "attempt": attempt_id,
            "old": old,
            "new": str(new),
            "reason": reason,
            "cause": cause[:500],
            "now": now,
        },
    )
    after_commit(tx, STELLAR_STEPS.labels(str(new)).inc)


_PAYMENTS = text(
    "SELECT p.*, o.correlation_id, o.intent, o.intent_signature FROM stellar_payments p JOIN payouts o USING (payout_id) "
    "WHERE p.attempt_id = ANY(CAST(:attempts AS bigint[])) AND p.state = 'batched' ORDER BY p.queued_at, p.provider_key"
)


async def payments_of(
    tx: AsyncConnection, attempt_ids: Sequence[int], *, assets: dict[str, ChainAsset]
) -> dict[int, list[Payment]]:
    """The payments that each attempt holds now, with the intents as rewards last signed them."""
    found: dict[int, list[Payment]] = {attempt_id: [] for attempt_id in attempt_ids}
    if not attempt_ids:
        return found
    for row in await tx.execute(_PAYMENTS, {"attempts": list(attempt_ids)}):
        found[row.attempt_id].append(
            Payment(
                provider_key=row.provider_key,
                payout_id=row.payout_id,
                correlation_id=row.correlation_id,
                asset=assets[row.asset],
                stroops=row.stroops,
                destination=row.destination,
                account=row.account,
                memo=row.memo,
                intent=row.intent,
                intent_signature=row.intent_signature,
            )
        )
    return found


_END = text(
    "WITH ended AS (UPDATE stellar_payments p SET state = :state, code = u.code, changed_at = :now "
    "FROM unnest(CAST(:keys AS uuid[]), CAST(:codes AS text[])) AS u(key, code) "
    "WHERE p.provider_key = u.key AND p.attempt_id = :attempt AND p.state = 'batched' "
    "RETURNING p.provider_key, p.payout_id, p.code), "
    "noted AS (UPDATE stellar_items i SET code = e.code FROM ended e "
    "WHERE i.attempt_id = :attempt AND i.provider_key = e.provider_key) "
    "SELECT payout_id FROM ended ORDER BY payout_id"
)


async def end_payments(
    tx: AsyncConnection, attempt_id: int, codes: dict[UUID, str], *, now: datetime
) -> list[UUID]:
    """Payments of an attempt that are proved without effect, with the code of each; their payout ids."""
    if not codes:
        return []
    found = await tx.execute(
        _END,
        {
            "state": str(PaymentState.NO_EFFECT),
            "keys": list(codes),
            "codes": list(codes.values()),
            "attempt": attempt_id,
            "now": now,
        },
    )
    return [row.payout_id for row in found]


_HELD = text(
    "SELECT provider_key FROM stellar_payments WHERE attempt_id = :attempt AND state = 'batched' "
    "ORDER BY provider_key FOR UPDATE"
)


async def held_payments(tx: AsyncConnection, attempt_id: int) -> list[UUID]:
    """The payments that an attempt holds now, locked."""
    return list((await tx.execute(_HELD, {"attempt": attempt_id})).scalars())


_FREE = text(
    "UPDATE stellar_payments SET state = 'queued', attempt_id = NULL, due_at = :due, changed_at = :now, "
    "rebuilds = rebuilds + :rebuilds, refusals = refusals + :refusals "
    "WHERE attempt_id = :attempt AND state = 'batched' "
    "AND (CAST(:keys AS uuid[]) IS NULL OR provider_key = ANY(CAST(:keys AS uuid[])))"
)


async def free_payments(
    tx: AsyncConnection,
    attempt_id: int,
    *,
    due_at: datetime,
    now: datetime,
    keys: Sequence[UUID] | None = None,
    rebuilds: int = 0,
    refusals: int = 0,
) -> None:
    """Give payments of an attempt (all without ``keys``) back to the queue, to be batched from ``due_at`` on."""
    await tx.execute(
        _FREE,
        {
            "attempt": attempt_id,
            "due": due_at,
            "now": now,
            "keys": None if keys is None else list(keys),
            "rebuilds": rebuilds,
            "refusals": refusals,
        },
    )
