"""Ledger entries in their tables, the recently used ones in memory."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from prizewire_stellar_sandbox.core.model import (
    Account,
    AccountId,
    AccountKey,
    Asset,
    DataEntry,
    DataKey,
    Entry,
    Key,
    Signer,
    Trustline,
    TrustlineKey,
)

_CACHE_ENTRIES_MAX: Final = 20_000


class EntryStore:
    """The entries as of the last closed ledger."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._cache: dict[Key, Entry] = {}

    def get(self, key: Key) -> Entry | None:
        """An entry, None where the ledger has none."""
        entry = self._cache.get(key)
        if entry is None:
            entry = self._read(key)
            self._remember(key, entry)
        return entry

    def write(self, changes: dict[Key, Entry | None]) -> None:
        """Write changed entries, within the caller's transaction."""
        db = self._db
        entries = [entry for entry in changes.values() if entry is not None]
        db.executemany(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_account_row(entry) for entry in entries if isinstance(entry, Account)),
        )
        db.executemany(
            "INSERT OR REPLACE INTO trustlines VALUES (?, ?, ?, ?, ?, ?, ?)",
            (_trustline_row(entry) for entry in entries if isinstance(entry, Trustline)),
        )
        db.executemany(
            "INSERT OR REPLACE INTO data_entries VALUES (?, ?, ?, ?)",
            (
                (entry.account_id, entry.name, entry.value, entry.modified_ledger)
                for entry in entries
                if isinstance(entry, DataEntry)
            ),
        )
        for key in (key for key, entry in changes.items() if entry is None):
            self._delete(key)

    def written(self, changes: dict[Key, Entry | None]) -> None:
        """The caller's transaction is on the disk: from now on the changes are what is read."""
        for key, entry in changes.items():
            self._remember(key, entry)

    def trustlines_of(self, account_id: AccountId) -> list[Trustline]:
        """All trustlines of an account."""
        rows = self._db.execute("SELECT * FROM trustlines WHERE account_id = ?", (account_id,))
        return [_trustline(row) for row in rows]

    def data_of(self, account_id: AccountId) -> list[DataEntry]:
        """All data entries of an account."""
        rows = self._db.execute("SELECT * FROM data_entries WHERE account_id = ?", (account_id,))
        return [DataEntry(*row) for row in rows]

    def _remember(self, key: Key, entry: Entry | None) -> None:
        self._cache.pop(key, None)
        if entry is None:
            return
        self._cache[key] = entry
        if len(self._cache) > _CACHE_ENTRIES_MAX:
            del self._cache[next(iter(self._cache))]

    def _read(self, key: Key) -> Entry | None:
        if isinstance(key, AccountKey):
            row = self._db.execute("SELECT * FROM accounts WHERE account_id = ?", key).fetchone()
            return None if row is None else _account(row)
        if isinstance(key, TrustlineKey):
            row = self._db.execute(
                "SELECT * FROM trustlines WHERE account_id = ? AND asset_code = ? AND issuer = ?",
                (key.account_id, *key.asset),
            ).fetchone()
            return None if row is None else _trustline(row)
        row = self._db.execute("SELECT * FROM data_entries WHERE account_id = ? AND name = ?", key).fetchone()
        return None if row is None else DataEntry(*row)

    def _delete(self, key: Key) -> None:
        if isinstance(key, AccountKey):
            self._db.execute("DELETE FROM accounts WHERE account_id = ?", key)
        elif isinstance(key, TrustlineKey):
            self._db.execute(
                "DELETE FROM trustlines WHERE account_id = ? AND asset_code = ? AND issuer = ?",
                (key.account_id, *key.asset),
            )
        elif isinstance(key, DataKey):
            self._db.execute("DELETE FROM data_entries WHERE account_id = ? AND name = ?", key)


def _account_row(account: Account) -> tuple[object, ...]:
    signers = [[signer.key.hex(), signer.weight] for signer in account.signers]
    return (
        account.account_id,
        account.balance,
        account.sequence,
        account.subentries,
        account.flags,
        account.home_domain,
        account.thresholds,
        json.dumps(signers),
        account.inflation_dest,
        account.sequence_ledger,
        account.sequence_time,
        account.modified_ledger,
    )


def _account(row: tuple[Any, ...]) -> Account:
    return Account(
        account_id=row[0],
        balance=row[1],
        sequence=row[2],
        subentries=row[3],
        flags=row[4],
        home_domain=row[5],
        thresholds=row[6],
        signers=tuple(Signer(bytes.fromhex(key), weight) for key, weight in json.loads(row[7])),
        inflation_dest=row[8],
        sequence_ledger=row[9],
        sequence_time=row[10],
        modified_ledger=row[11],
    )


def _trustline_row(line: Trustline) -> tuple[object, ...]:
    return (
        line.account_id,
        *line.asset,
        line.balance,
        line.limit,
        line.flags,
        line.modified_ledger,
    )


def _trustline(row: tuple[Any, ...]) -> Trustline:
    account_id, code, issuer, *rest = row
    return Trustline(account_id, Asset(code, issuer), *rest)
