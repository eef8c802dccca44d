"""Subscriptions and their secrets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_webhooks.outbound.domain.model import SealedSecret, Subscription
from prizewire_webhooks.outbound.domain.states import DeliveryState, SubscriptionState
from prizewire_webhooks.outbound.storage.history import add_transitions

REGISTRY = "hashtext('prizewire.webhooks.registry')"
"""Advisory lock, held while a batch of events is matched and while a subscription begins or ends."""


class SqlSubscriptions:
    """``ports.SubscriptionStore`` over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def lock_registry(self) -> None:
        """See the port."""
        await self._tx.execute(_LOCK)

    async def count(self, *, owner: str) -> int:
        """See the port."""
        return int((await self._tx.execute(_COUNT, {"owner": owner})).scalar_one())

    async def add(self, subscription: Subscription, *, secret: SealedSecret, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(
            _ADD,
            {
                "id": subscription.subscription_id,
                "owner": subscription.owner,
                "url": subscription.url,
                "types": list(subscription.event_types),
                "description": subscription.description,
                "state": subscription.state,
                "now": now,
            },
        )
        await self._tx.execute(
            _ADD_SECRET,
            {
                "id": subscription.subscription_id,
                "key": secret.key_id,
                "sealed": secret.sealed,
                "now": now,
            },
        )
        edge = (str(subscription.subscription_id), "", str(subscription.state), subscription.owner, None)
        await add_transitions(self._tx, machine="subscription", edges=[edge], now=now)

    async def get(self, subscription_id: UUID, *, lock: bool) -> Subscription | None:
        """See the port."""
        query = _GET_LOCKED if lock else _GET
        row = (await self._tx.execute(query, {"id": subscription_id})).one_or_none()
        return None if row is None else _subscription(row)

    async def page(self, *, after: tuple[datetime, UUID] | None, limit: int) -> list[Subscription]:
        """See the port."""
        found: Mapping[str, Any] = {
            "at": None if after is None else after[0],
            "id": None if after is None else after[1],
            "limit": limit,
        }
        return [_subscription(row) for row in await self._tx.execute(_PAGE, found)]

    async def end(
        self,
        subscription_id: UUID,
        *,
        old: SubscriptionState,
        new: SubscriptionState,
        reason: str,
        cause: str,
        now: datetime,
    ) -> int:
        """See the port."""
        await self._tx.execute(
            _END, {"id": subscription_id, "state": new, "reason": reason, "now": now, "old": old}
        )
        edge = (str(subscription_id), str(old), str(new), cause, None)
        await add_transitions(self._tx, machine="subscription", edges=[edge], now=now)
        dropped = (await self._tx.execute(_DROP, {"id": subscription_id, "now": now})).all()
        await add_transitions(
            self._tx,
            machine="delivery",
            edges=[
                (
                    str(row.delivery_id),
                    DeliveryState.PENDING,
                    DeliveryState.DROPPED,
                    reason,
                    row.correlation_id,
                )
                for row in dropped
            ],
            now=now,
        )
        return len(dropped)


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(
        subscription_id=row.subscription_id,
        owner=row.owner,
        url=row.url,
        event_types=tuple(row.event_types),
        description=row.description,
        state=SubscriptionState(row.state),
        failures=row.failures,
        probe_at=row.probe_at,
        reason=row.reason,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


_COLUMNS = "subscription_id, owner, url, event_types, description, state, failures, probe_at, reason, created_at, changed_at"
_VISIBLE = "state <> 'deleted'"
_LOCK = text(f"SELECT pg_advisory_xact_lock({REGISTRY})")
_COUNT = text("SELECT count(*) FROM subscriptions WHERE owner = :owner AND state <> 'deleted'")
_ADD = text(
    "INSERT INTO subscriptions (subscription_id, owner, url, event_types, description, state, failures, from_seq, "
    "created_at, changed_at) VALUES (:id, :owner, :url, CAST(:types AS text[]), :description, :state, 0, "
    "(SELECT coalesce(max(seq), 0) FROM public_events), :now, :now)"
)
_ADD_SECRET = text(
    "INSERT INTO subscription_secrets (subscription_id, number, key_id, sealed, created_at) "
    "SELECT :id, coalesce(max(number), 0) + 1, :key, :sealed, CAST(:now AS timestamptz) "
    "FROM subscription_secrets WHERE subscription_id = :id"
)
_GET = text(f"SELECT {_COLUMNS} FROM subscriptions WHERE subscription_id = :id AND {_VISIBLE}")  # noqa: S608 - constants
_GET_LOCKED = text(f"{_GET.text} FOR UPDATE")
_PAGE = text(
    f"SELECT {_COLUMNS} FROM subscriptions WHERE {_VISIBLE} AND "  # noqa: S608 - constants
    "(CAST(:at AS timestamptz) IS NULL OR (created_at, subscription_id) < (:at, CAST(:id AS uuid))) "
    "ORDER BY created_at DESC, subscription_id DESC LIMIT :limit"
)
_END = text(
    "UPDATE subscriptions SET state = :state, reason = :reason, probe_at = NULL, changed_at = :now, "
    "until_seq = coalesce(until_seq, (SELECT coalesce(max(seq), 0) FROM public_events)) "
    "WHERE subscription_id = :id AND state = :old"
)
_DROP = text(
    "UPDATE deliveries SET state = 'dropped', changed_at = :now WHERE subscription_id = :id AND state = 'pending' "
    "RETURNING delivery_id, correlation_id"
)
