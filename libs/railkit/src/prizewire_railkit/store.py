"""A small store for providers whose payments have no vendor that remembers them.

Payouts gives it to each provider over its own database. A row belongs to one configured rail and, where it is about a
payment, to one payout. Several rows change in one transaction of payouts, or none does.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RailRow:
    """One row. ``collection`` and ``name`` identify it within its rail; ``state`` is a word that lists are filtered by.

    ``document`` is JSON without personal details. ``details`` are personal details in clear, which the store encrypts at
    rest (never logged: no ``repr``); None where there are none. ``version`` is 0 for a row that is not stored yet; each
    write adds one. ``changed_at`` is when it was last written.
    """

    collection: str
    name: str
    state: str
    document: Mapping[str, Any]
    changed_at: datetime
    payout_id: UUID | None = None
    details: Mapping[str, Any] | None = field(default=None, repr=False)
    version: int = 0


class RailRowConflict(Exception):
    """A row changed since it was read, or exists already. Read it again, and decide again."""


class RailRowNotAuthentic(Exception):
    """A row was changed behind the store's back: nothing follows from it. The text names the row, and none of its content."""


class RailRows(Protocol):
    """The rows of one rail within one transaction."""

    async def lock(self, collection: str, names: Sequence[str]) -> dict[str, RailRow]:
        """These rows by name, locked in the order of their names until the transaction ends; unknown names are left out.

        Raises:
            RailRowNotAuthentic: the store did not write one of these rows itself.
        """
        ...

    async def page(
        self,
        collection: str,
        *,
        states: Sequence[str] = (),
        payout_ids: Sequence[UUID] = (),
        after: str | None = None,
        limit: int = 100,
    ) -> list[RailRow]:
        """Rows in the order of their names, not locked: those in one of ``states`` and of one of ``payout_ids`` where
        given, with a name after ``after``. A row that the store did not write itself is left out of lists.

        Raises:
            RailRowNotAuthentic: ``payout_ids`` were asked for, and the store did not write a row of one of them itself.
        """
        ...

    async def write(self, rows: Sequence[RailRow]) -> None:
        """Insert rows of version 0, and update the others where their version is the stored one. A row stays with its payout.

        Raises:
            RailRowConflict: a row was changed or inserted by another transaction; nothing of the transaction is kept.
        """
        ...


class RailStore(Protocol):
    """Gives a provider transactions over the rows of its rail."""

    def begin(self) -> AbstractAsyncContextManager[RailRows]:
        """A transaction: committed at the end of the block, rolled back where the block raises."""
        ...
