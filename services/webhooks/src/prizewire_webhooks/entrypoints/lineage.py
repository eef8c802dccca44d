"""This service's part of a lineage: who was told, how often it was tried, and with what result."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import LineageEntry
from prizewire_webhooks.domain.model import Delivery
from prizewire_webhooks.entrypoints.stores import Stores

__all__ = ["delivery_view", "lineage_of"]


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """A delivery as JSON, with every attempt."""
    return {
        "id": str(delivery.delivery_id),
        "subscription_id": str(delivery.subscription_id),
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "correlation_id": delivery.correlation_id,
        "state": str(delivery.state),
        "due_at": delivery.due_at.isoformat() if delivery.state == "pending" else None,
        "created_at": delivery.created_at.isoformat(),
        "changed_at": delivery.changed_at.isoformat(),
        "attempts": [
            {
                "number": attempt.number,
                "at": attempt.started_at.isoformat(),
                "outcome": attempt.outcome,
                "status": attempt.status,
                "code": attempt.code,
                "latency_ms": attempt.latency_ms,
                "response": attempt.response,
            }
            for attempt in delivery.attempts
        ],
    }


def lineage_of(stores: Stores) -> Callable[[AsyncConnection, str], Awaitable[list[LineageEntry]]]:
    """The chassis' lineage function over deliveries."""

    async def lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        found = await stores.deliveries(tx).of_correlation(correlation_id)
        return [
            LineageEntry(
                at=delivery.changed_at,
                service="webhooks",
                kind="webhook.delivery",
                id=str(delivery.delivery_id),
                summary=(
                    f"{delivery.event_type} to {delivery.host}: {delivery.state} "
                    f"after {len(delivery.attempts)} attempt(s)"
                ),
                detail=delivery_view(delivery),
            )
            for delivery in found
        ]

    return lineage
