"""Transactions that the signer signed and payouts did not ask for, and what the ledger says of them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.db import after_commit
from prizewire_contracts.events.signing import SigningCompletedEvent
from prizewire_payouts.metrics import DUPLICATES_STOPPED
from prizewire_payouts.stellar.ports import UnaskedTransaction
from prizewire_payouts.stellar.storage.execution import Execution, in_transaction

_KEEP = text(
    "INSERT INTO stellar_unasked (tx_hash, slot_id, account, payout_ids, max_time, event_id, signed_at) "
    "VALUES (:hash, :slot, :account, CAST(:payouts AS uuid[]), :max_time, :event, :signed) ON CONFLICT DO NOTHING"
)
_OPEN = text(
    "SELECT u.tx_hash, u.payout_ids, u.max_time, u.signed_at FROM stellar_unasked u WHERE u.tx_hash > :after "
    "AND NOT EXISTS (SELECT 1 FROM stellar_unasked_ends e WHERE e.tx_hash = u.tx_hash) ORDER BY u.tx_hash LIMIT :limit"
)
_END = text(
    "INSERT INTO stellar_unasked_ends (tx_hash, outcome, ledger, found_at) VALUES (:hash, :outcome, :ledger, :now) "
    "ON CONFLICT DO NOTHING"
)
_SIGNED = text(
    "SELECT DISTINCT unnest(u.payout_ids) AS payout_id FROM stellar_unasked u "
    "WHERE u.payout_ids && CAST(:ids AS uuid[]) AND NOT EXISTS ("
    "SELECT 1 FROM stellar_unasked_ends e WHERE e.tx_hash = u.tx_hash AND e.outcome = 'without_effect')"
)
_ALL = text(
    "SELECT u.tx_hash, u.slot_id, u.payout_ids, u.signed_at, e.outcome, e.ledger FROM stellar_unasked u "
    "LEFT JOIN stellar_unasked_ends e USING (tx_hash) ORDER BY u.signed_at, u.tx_hash LIMIT 100"
)


async def keep_unasked(tx: AsyncConnection, event: SigningCompletedEvent) -> None:
    """Store a signed answer to a request that payouts did not make."""
    data = event.data
    values = {
        "hash": data.tx_hash,
        "slot": data.slot.slot_id,
        "account": data.slot.account,
        "payouts": data.payout_ids or [],
        "max_time": data.max_time,
        "event": event.id,
        "signed": event.time,
    }
    stored = await tx.execute(_KEEP, values)
    if stored.rowcount:
        # payouts makes no other payment of them until the ledger proves that this one had no effect
        after_commit(tx, lambda: DUPLICATES_STOPPED.labels("slot").inc(len(data.payout_ids or ())))


async def signed_unasked(tx: AsyncConnection, payout_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these payouts for which such a transaction was signed, unless it is proved to have had no effect."""
    found = await tx.execute(_SIGNED, {"ids": list(payout_ids)})
    return set(found.scalars())


class UnaskedStorage:
    """`prizewire_payouts.stellar.ports.Unasked` over PostgreSQL: each method is one transaction."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def execution(self) -> Execution:
        """The execution whose rows these are."""
        return self._execution

    @in_transaction
    async def open(self, tx: AsyncConnection, *, after: str, limit: int) -> list[UnaskedTransaction]:
        """See the port."""
        return [
            UnaskedTransaction(
                tx_hash=row.tx_hash,
                payout_ids=tuple(row.payout_ids),
                max_time=row.max_time,
                signed_at=int(row.signed_at.timestamp()),
            )
            for row in await tx.execute(_OPEN, {"after": after, "limit": limit})
        ]

    @in_transaction
    async def end(
        self, tx: AsyncConnection, one: UnaskedTransaction, *, ledger: int | None, now: datetime
    ) -> None:
        """See the port."""
        outcome = "without_effect" if ledger is None else "applied"
        await tx.execute(_END, {"hash": one.tx_hash, "outcome": outcome, "ledger": ledger, "now": now})


_SAYS = {
    None: "the ledger does not say yet whether it was applied, and payouts asks neither for their closure nor for another payment",
    "applied": "ledger {ledger} applied it: these payouts are paid on the ledger, and their money must not be given back",
    "without_effect": "the ledger proves that it had no effect",
}


async def _asked(tx: AsyncConnection) -> list[str]:
    return [
        f"the signer signed transaction {row.tx_hash} on slot {row.slot_id} at {row.signed_at:%Y-%m-%d %H:%M:%S} UTC, and payouts "
        f"has not asked for it: somebody else uses payouts' key, or payouts' database was restored from a backup; its payouts: "
        f"{', '.join(map(str, row.payout_ids)) if row.payout_ids else 'none that the signer names'}; "
        + _SAYS[row.outcome].format(ledger=row.ledger)
        for row in await tx.execute(_ALL)
    ]


UNASKED_CHECK = Check("stellar_answers_were_asked", _asked, count=rows_of("stellar_signing_results"))
"""A signed transaction that payouts did not ask for stays a breach until a superuser deletes its row."""
