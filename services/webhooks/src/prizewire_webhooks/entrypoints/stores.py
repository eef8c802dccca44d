"""How entry points get stores for a transaction that they opened."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_webhooks.ports import DeliveryStore, ProviderStore, SubscriptionStore


@dataclass(frozen=True, slots=True)
class Stores:
    """One factory for each port."""

    subscriptions: Callable[[AsyncConnection], SubscriptionStore]
    deliveries: Callable[[AsyncConnection], DeliveryStore]
    providers: Callable[[AsyncConnection], ProviderStore]
