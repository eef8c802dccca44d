"""The records of webhooks in PostgreSQL, behind the handlers' ports."""

from prizewire_webhooks.adapters.storage.checks import breaches_of
from prizewire_webhooks.adapters.storage.deliveries import SqlDeliveries
from prizewire_webhooks.adapters.storage.providers import SqlProviders
from prizewire_webhooks.adapters.storage.subscriptions import SqlSubscriptions

__all__ = ["SqlDeliveries", "SqlProviders", "SqlSubscriptions", "breaches_of"]
