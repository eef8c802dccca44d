"""One transaction of payouts."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database, after_commit
from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_money import AssetRegistry

T = TypeVar("T")


class UnitOfWork:
    """One transaction: rows, their transitions and their events are committed together, or none of them is.

    The storage of each feature works over one of these: it loads rows locked, and saves what handlers decided on.
    ``wake_workers`` is called after the commit of a transaction that left work for the rails' workers.
    """

    def __init__(
        self,
        tx: AsyncConnection,
        *,
        assets: AssetRegistry,
        outbox: Outbox,
        wake_workers: Callable[[], None] | None = None,
    ) -> None:
        self.tx = tx
        self.assets = assets
        self.outbox = outbox
        self._wake_workers = wake_workers

    async def publish(self, events: Sequence[EncodedEvent]) -> None:
        """Add events to the outbox, in this order."""
        await self.outbox.add(self.tx, events)

    def wake(self) -> None:
        """Wake the rails' workers after the commit."""
        if self._wake_workers is not None:
            after_commit(self.tx, self._wake_workers)


class UnitsOfWork:
    """Makes units of work over the service's database."""

    def __init__(
        self,
        *,
        db: Database,
        assets: AssetRegistry,
        outbox: Outbox,
        wake_workers: Callable[[], None] | None = None,
    ) -> None:
        self._db = db
        self._assets = assets
        self._outbox = outbox
        self._wake_workers = wake_workers

    def over(self, tx: AsyncConnection) -> UnitOfWork:
        """A unit of work over a transaction that the caller has begun."""
        return UnitOfWork(tx, assets=self._assets, outbox=self._outbox, wake_workers=self._wake_workers)

    async def run(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run ``work`` in one transaction, the whole again where the database reports a conflict; returns what ``work``
        returned, once committed.
        """
        return await self._db.run(lambda tx: work(self.over(tx)))
