"""Events to process, and their outcomes."""

from uuid import UUID

import orjson
from sqlalchemy import text

from prizewire_chassis.testing import make_key
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.events.payouts import (
    PayoutHeld,
    PayoutHeldEvent,
    PayoutReturned,
    PayoutReturnedEvent,
)
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


def returned(outbox, payout: UUID, version: int):
    """An event that money may wait for."""
    data = PayoutReturned(payout_id=payout, return_ref="r-1", asset="EUR", amount="1.00", fee="0.00")
    return outbox.event(PayoutReturnedEvent, data, subject=str(payout), version=version, correlation_id="c-1")


def signed_unreadable(outbox, payout: UUID, version: int) -> bytes:
    """An event that its producer signed and that no schema takes: its reason holds a NUL."""
    raw = orjson.loads(held(outbox, payout, version).value)
    raw["data"]["reason"] = "stop\x00"
    return orjson.dumps(sign_raw(topic=TOPIC, raw=raw, key=make_key("payouts")))


async def effects(db) -> list[str]:
    async with db.transaction() as tx:
        return [row.event_id for row in await tx.execute(text("SELECT event_id FROM effects ORDER BY n"))]


async def stuck_rows(db) -> list[tuple[str, str]]:
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT state, reason FROM stuck_events ORDER BY id"))
        return [(row.state, row.reason) for row in rows]
