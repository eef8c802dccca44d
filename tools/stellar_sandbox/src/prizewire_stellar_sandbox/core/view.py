"""Reading and writing entries in layers, so that an operation or a transaction can be rolled back whole."""

from __future__ import annotations

from typing import Protocol

from prizewire_stellar_sandbox.core.model import (
    Account,
    AccountId,
    AccountKey,
    Asset,
    DataEntry,
    DataKey,
    Entry,
    Key,
    Trustline,
    TrustlineKey,
)


class Entries(Protocol):
    """Anything that entries can be read from."""

    def get(self, key: Key) -> Entry | None:
        """The entry, or None where the ledger has none."""


class View:
    """A layer of changes over other entries. Nothing reaches the layer below before :meth:`commit`."""

    def __init__(self, below: Entries) -> None:
        self._below = below
        self._changes: dict[Key, Entry | None] = {}

    def get(self, key: Key) -> Entry | None:
        """The entry as this layer sees it."""
        if key in self._changes:
            return self._changes[key]
        return self._below.get(key)

    def account(self, account_id: AccountId) -> Account | None:
        """An account."""
        entry = self.get(AccountKey(account_id))
        assert entry is None or isinstance(entry, Account)
        return entry

    def trustline(self, account_id: AccountId, asset: Asset) -> Trustline | None:
        """A trustline."""
        entry = self.get(TrustlineKey(account_id, asset))
        assert entry is None or isinstance(entry, Trustline)
        return entry

    def data(self, account_id: AccountId, name: bytes) -> DataEntry | None:
        """A data entry."""
        entry = self.get(DataKey(account_id, name))
        assert entry is None or isinstance(entry, DataEntry)
        return entry

    def put(self, entry: Entry) -> None:
        """Create or replace an entry."""
        self._changes[entry.key] = entry

    def delete(self, key: Key) -> None:
        """Remove an entry."""
        self._changes[key] = None

    def layer(self) -> View:
        """A new layer over this one."""
        return View(self)

    @property
    def changes(self) -> dict[Key, Entry | None]:
        """What this layer changed; None is a removal."""
        return self._changes

    def differences(self) -> list[tuple[Key, Entry | None, Entry | None]]:
        """Each changed key with its entry before and after this layer, in the order of first change."""
        pairs = ((key, self._below.get(key), after) for key, after in self._changes.items())
        return [(key, before, after) for key, before, after in pairs if before != after]

    def commit(self) -> None:
        """Move the changes to the layer below.

        Raises:
            TypeError: there is no layer below; its owner reads :attr:`changes` instead.
        """
        if not isinstance(self._below, View):
            raise TypeError("the lowest layer has no layer below it: its owner reads its changes")
        self._below._changes.update(self._changes)  # noqa: SLF001 - a layer of the same class
