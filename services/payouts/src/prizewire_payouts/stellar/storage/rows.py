"""Reading, locking and moving rows; every move is checked against the table of edges and stored."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import after_commit
from prizewire_payouts.metrics import STELLAR_STEPS
from prizewire_payouts.stellar.domain.model import Attempt, ChainAsset, Kind, Payment
from prizewire_payouts.stellar.domain.states import HOLDING, AttemptState, PaymentState, check_step
from prizewire_payouts.stellar.storage.tables import attempts, channels, slots, transitions

HOLDING_STATES = sorted(HOLDING)

_revisions = attempts.alias()
_ATTEMPT = select(
    attempts,
    slots.c.sequence.label("slot_sequence"),
    channels.c.sequence.label("channel_sequence"),
    select(func.max(_revisions.c.max_time))
    .where(_revisions.c.slot_id == attempts.c.slot_id)
    .scalar_subquery()
    .label("slot_max_time"),
).select_from(
    attempts.join(channels, channels.c.account == attempts.c.account).outerjoin(
        slots, slots.c.slot_id == attempts.c.slot_id
    )
)


def attempt_of(row: Row[Any], payments: Sequence[Payment] = ()) -> Attempt:
    """An attempt from its row, joined with its channel and slot."""
    return Attempt(
        attempt_id=row.attempt_id,
        state=AttemptState(row.state),
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
        asked_ledger=row.asked_ledger,
    )


async def due_attempts(
    tx: AsyncConnection, states: Iterable[AttemptState], *, now: datetime
) -> list[Row[Any]]:
    """Attempts in ``states`` whose moment has come, oldest first; at most one for each channel."""
    found = await tx.execute(
        _ATTEMPT.where(
            attempts.c.state.in_([str(state) for state in states]), attempts.c.due_at <= now
        ).order_by(attempts.c.attempt_id)
    )
    return list(found)


async def first_due(tx: AsyncConnection, state: AttemptState) -> datetime | None:
    """When the first attempt in ``state`` is due."""
    found = await tx.execute(select(func.min(attempts.c.due_at)).where(attempts.c.state == str(state)))
    moment: datetime | None = found.scalar_one()
    return moment


async def lock_attempt(tx: AsyncConnection, attempt_id: int) -> Row[Any]:
    """The attempt as it stands now, locked until the transaction ends."""
    await tx.execute(
        select(attempts.c.attempt_id).where(attempts.c.attempt_id == attempt_id).with_for_update()
    )
    return (await tx.execute(_ATTEMPT.where(attempts.c.attempt_id == attempt_id))).one()


async def move(
    tx: AsyncConnection, row: Row[Any], new: AttemptState, *, cause: str, now: datetime, **values: Any
) -> None:
    """Take a locked attempt along an edge, with what comes with it.

    Raises:
        IllegalStep: the table of edges has no such way.
    """
    old = AttemptState(row.state)
    reason = check_step(old=old, new=new)
    values.setdefault("due_at", None)
    await tx.execute(
        update(attempts)
        .where(attempts.c.attempt_id == row.attempt_id)
        .values(state=str(new), changed_at=now, **values)
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
        insert(attempts)
        .values(
            account=account,
            kind=str(kind),
            memo=memo,
            state=str(AttemptState.LEASED),
            slot_id=slot_id,
            revision=revision,
            due_at=due_at,
            leased_at=now,
            changed_at=now,
        )
        .returning(attempts.c.attempt_id)
    )
    attempt_id: int = found.scalar_one()
    reason = "a channel without a holder and payments without an open attempt, in one transaction"
    await _note(tx, attempt_id, "", AttemptState.LEASED, reason=reason, cause=cause, now=now)
    return attempt_id


async def _note(
    tx: AsyncConnection,
    attempt_id: int,
    old: str,
    new: AttemptState,
    *,
    reason: str,
    cause: str,
    now: datetime,
) -> None:
    await tx.execute(
        insert(transitions).values(
            attempt_id=attempt_id, from_state=old, to_state=str(new), reason=reason, cause=cause[:500], at=now
        )
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
