"""A ``RailStore`` in memory, which behaves as a database does at the isolation level READ COMMITTED."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from prizewire_railkit.store import RailRow, RailRowConflict, RailRows, RailStore

_Key = tuple[str, str, str]


class MemoryDatabase:
    """The rows of all rails. It outlives the stores and the providers that use it."""

    def __init__(self) -> None:
        self.rows: dict[_Key, RailRow] = {}
        self.locks: dict[_Key, asyncio.Lock] = {}

    def store(self, rail: str) -> RailStore:
        """The store of one configured rail."""
        return _MemoryStore(self, rail)


class _MemoryStore:
    def __init__(self, database: MemoryDatabase, rail: str) -> None:
        self._database = database
        self._rail = rail

    def begin(self) -> AbstractAsyncContextManager[RailRows]:
        """See `RailStore`."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[RailRows]:
        rows = _MemoryRows(self._database, self._rail)
        try:
            yield rows
            self._database.rows.update(rows.written)
        finally:
            rows.release()


class _MemoryRows:
    def __init__(self, database: MemoryDatabase, rail: str) -> None:
        self.written: dict[_Key, RailRow] = {}
        self._database = database
        self._rail = rail
        self._held: dict[_Key, asyncio.Lock] = {}

    async def lock(self, collection: str, names: Sequence[str]) -> dict[str, RailRow]:
        """See `RailRows`."""
        found: dict[str, RailRow] = {}
        for name in sorted(set(names)):
            key = (self._rail, collection, name)
            if self._visible(key) is None:
                continue
            await self._acquire(key)
            row = self._visible(key)
            assert row is not None, "rows are never deleted"
            found[name] = row
        return found

    async def page(
        self,
        collection: str,
        *,
        states: Sequence[str] = (),
        payout_ids: Sequence[UUID] = (),
        after: str | None = None,
        limit: int = 100,
    ) -> list[RailRow]:
        """See `RailRows`."""
        rows = [
            row
            for key, row in sorted((self._database.rows | self.written).items(), key=lambda item: item[0])
            if key[:2] == (self._rail, collection)
            and (not states or row.state in states)
            and (not payout_ids or row.payout_id in payout_ids)
            and (after is None or row.name > after)
        ]
        return [_copy(row) for row in rows[:limit]]

    async def write(self, rows: Sequence[RailRow]) -> None:
        """See `RailRows`."""
        for row in sorted(rows, key=lambda row: (row.collection, row.name)):
            key = (self._rail, row.collection, row.name)
            await self._acquire(key)
            stored = self._visible(key)
            if (0 if stored is None else stored.version) != row.version:
                msg = f"the row {row.name} of {row.collection} changed since it was read, or exists already"
                raise RailRowConflict(msg)
            self.written[key] = replace(_copy(row), version=row.version + 1)

    def release(self) -> None:
        """Release the locks at the end of the transaction."""
        for lock in self._held.values():
            lock.release()
        self._held.clear()

    def _visible(self, key: _Key) -> RailRow | None:
        row = self.written.get(key) or self._database.rows.get(key)
        return None if row is None else _copy(row)

    async def _acquire(self, key: _Key) -> None:
        if key not in self._held:
            lock = self._database.locks.setdefault(key, asyncio.Lock())
            await lock.acquire()
            self._held[key] = lock


def _copy(row: RailRow) -> RailRow:
    """A row as a database returns it: its documents are new objects, and went through JSON."""
    details = None if row.details is None else _json(row.details)
    return replace(row, document=_json(row.document), details=details)


def _json(document: Mapping[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    return copied
