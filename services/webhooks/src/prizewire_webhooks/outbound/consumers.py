"""The consumers of public events. Events become deliveries in the transaction of their batch."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, never
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.topics import PAYOUTS
from prizewire_webhooks.outbound.domain.model import PUBLIC_TYPES, PublicEvent
from prizewire_webhooks.outbound.handlers import deliveries
from prizewire_webhooks.outbound.ports import UnitOfWork

_INTERNAL = frozenset({"keyid", "signature", "traceparent"})
"""Envelope attributes that are between our services only."""
_CONSUMED = {"webhooks.payouts": PAYOUTS}
"""Topic by consumer."""


def public_event(item: Incoming) -> PublicEvent:
    """An event as subscribers get it: as published, without what is between our services only."""
    event = item.event
    assert event.correlationid is not None, "events of our services have a correlation id"
    body = {name: value for name, value in item.raw.items() if name not in _INTERNAL}
    return PublicEvent(
        event_id=event.id,
        source=event.source,
        type=event.type,
        subject=event.subject,
        correlation_id=event.correlationid,
        body=canonical_bytes(body),
    )


def consumer_specs(
    *, unit_of_work: Callable[[AsyncConnection], UnitOfWork], clock: Clock, wake: Callable[[], None]
) -> list[ConsumerSpec]:
    """One consumer for each topic with public types. Versions are not looked at: an event is passed on, not applied."""

    async def take_in(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        events = [public_event(item) for item in batch]
        created = await deliveries.take_in(events, store=unit_of_work(tx).deliveries, now=clock.now())
        if created:
            after_commit(tx, wake)
        return {}

    public = frozenset(PUBLIC_TYPES.values())
    return [
        ConsumerSpec(name, topic, take_in, never, types=public & frozenset(topic.models))
        for name, topic in _CONSUMED.items()
    ]
