"""This service's part of a lineage: each delivery, its attempts and its result."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import LineageEntry
from prizewire_contracts.text import counted
from prizewire_webhooks.outbound.http import delivery_answer
from prizewire_webhooks.outbound.ports import UnitOfWork


def lineage_of(
    unit_of_work: Callable[[AsyncConnection], UnitOfWork],
) -> Callable[[AsyncConnection, str], Awaitable[list[LineageEntry]]]:
    """The chassis' lineage function over deliveries."""

    async def lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        found = await unit_of_work(tx).deliveries.of_correlation(correlation_id)
        return [
            LineageEntry(
                at=delivery.changed_at,
                service="webhooks",
                kind="webhook.delivery",
                id=str(delivery.delivery_id),
                summary=(
                    f"{delivery.event_type} to {delivery.host}: {delivery.state} "
                    f"after {counted(len(delivery.attempts), 'attempt')}"
                ),
                detail=delivery_answer(delivery).model_dump(mode="json"),
            )
            for delivery in found
        ]

    return lineage
