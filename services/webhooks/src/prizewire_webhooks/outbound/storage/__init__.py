"""Subscriptions and deliveries in PostgreSQL."""

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_webhooks.outbound.ports import UnitOfWork
from prizewire_webhooks.outbound.storage.deliveries import SqlDeliveries
from prizewire_webhooks.outbound.storage.subscriptions import SqlSubscriptions

__all__ = ["open_unit_of_work"]


def open_unit_of_work(tx: AsyncConnection) -> UnitOfWork:
    """The unit of work of a transaction."""
    return UnitOfWork(SqlSubscriptions(tx), SqlDeliveries(tx))
