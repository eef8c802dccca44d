"""One transaction of payouts."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.outbox import Outbox
from prizewire_money import AssetRegistry

SignedUnasked = Callable[[AsyncConnection, Sequence[UUID]], Awaitable[Collection[UUID]]]
"""(transaction, payout ids): those for which the signer signed a transaction that payouts did not ask for, unless it is proved
to have had no effect.
"""


class RowSeals(Protocol):
    """Encrypts personal details in rows of the database, each bound to its row."""

    @property
    def key_id(self) -> str:
        """The id of the key that encrypts new rows."""
        ...

    def seal_row(self, *, binding: bytes, plain: bytes) -> bytes:
        """Encrypted bytes that open only with the same ``binding``: what identifies the row."""
        ...

    def open_row(self, *, key_id: str, binding: bytes, sealed: bytes) -> bytes:
        """The bytes that were encrypted.

        Raises:
            ValueError: they were not encrypted by this key for this row, or were changed since.
        """
        ...


def _no_workers() -> None:
    """There are no workers to wake."""


async def _none_signed(_tx: AsyncConnection, _payout_ids: Sequence[UUID]) -> Collection[UUID]:
    """No rail that the signer serves is configured."""
    return ()


@dataclass(frozen=True, slots=True)
class UnitOfWork:
    """One transaction: rows, their transitions and their events are committed together, or none of them is.

    The storage of each feature works over one of these: it loads rows locked, and saves what handlers decided on.
    ``mac`` is a keyed digest, by which payouts recognizes rows that it wrote itself, and
    ``former_macs`` are those of former keys. ``seals`` encrypts personal details in rows.
    ``wake_workers`` wakes the rails' workers. Storages call it after the commit of a transaction that left work for them.
    """

    tx: AsyncConnection
    assets: AssetRegistry = field(kw_only=True)
    outbox: Outbox = field(kw_only=True)
    mac: Callable[[bytes], bytes] = field(kw_only=True)
    former_macs: Sequence[Callable[[bytes], bytes]] = field(default=(), kw_only=True)
    seals: RowSeals = field(kw_only=True)
    wake_workers: Callable[[], None] = field(default=_no_workers, kw_only=True)
    signed_unasked: SignedUnasked = field(default=_none_signed, kw_only=True)


UnitOfWorkFactory = Callable[[AsyncConnection], UnitOfWork]
"""Makes the unit of work over a transaction that the caller has begun."""
