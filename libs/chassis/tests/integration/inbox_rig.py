"""Events to take in, and what became of them."""

from uuid import UUID

from sqlalchemy import text

from prizewire_contracts.events.payouts import PayoutHeld, PayoutHeldEvent
from prizewire_contracts.topics import PAYOUTS

TOPIC = PAYOUTS.name


def held(outbox, payout: UUID, version: int):
    return outbox.event(
        PayoutHeldEvent,
        PayoutHeld(payout_id=payout, reason="limit_exceeded"),
        subject=str(payout),
        version=version,
        correlation_id="c-1",
    )


async def effects(db) -> list[str]:
    async with db.transaction() as tx:
        return [row.event_id for row in await tx.execute(text("SELECT event_id FROM effects ORDER BY n"))]


async def stuck_rows(db) -> list[tuple[str, str]]:
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT state, reason FROM stuck_events ORDER BY id"))
        return [(row.state, row.reason) for row in rows]
