"""The consumers of public events. Events become deliveries in the transaction of their batch."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, never
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.topics import PAYOUTS
from prizewire_webhooks.outbound.domain.model import PUBLIC_TYPES
from prizewire_webhooks.outbound.handlers import deliveries
from prizewire_webhooks.outbound.messages import public_event
from prizewire_webhooks.outbound.ports import UnitOfWork

_CONSUMED = {"webhooks.payouts": PAYOUTS}
"""Topic by consumer."""


def consumer_specs(
    *, unit_of_work: Callable[[AsyncConnection], UnitOfWork], clock: Clock, wake: Callable[[], None]
) -> list[ConsumerSpec]:
    """One consumer for each topic with public types. Versions are not looked at: an event is passed on, not applied."""

    async def take_in(tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        events = [public_event(item.event, item.value) for item in batch]
        stored = await deliveries.take_in(events, store=unit_of_work(tx).deliveries, now=clock.now())
        if stored.deliveries:
            after_commit(tx, wake)
        taken = Refusal(RefusalCode.EVENT_MISMATCH, "another event is stored under this id", park=True)
        return {index: taken for index, event in enumerate(events) if event.event_id in stored.taken}

    public = frozenset(PUBLIC_TYPES.values())
    return [
        ConsumerSpec(name, topic, take_in, never, types=public & frozenset(topic.models))
        for name, topic in _CONSUMED.items()
    ]
