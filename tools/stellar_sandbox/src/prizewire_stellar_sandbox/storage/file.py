"""The SQLite file itself: opened by one process, written in transactions."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS network (passphrase TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledgers (
    sequence INTEGER PRIMARY KEY, close_time INTEGER NOT NULL, closed_at_ms INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL, fee_pool INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (
    account_id BLOB PRIMARY KEY, balance INTEGER NOT NULL, sequence INTEGER NOT NULL,
    subentries INTEGER NOT NULL, flags INTEGER NOT NULL, home_domain BLOB NOT NULL,
    thresholds BLOB NOT NULL, signers TEXT NOT NULL, inflation_dest BLOB,
    sequence_ledger INTEGER NOT NULL, sequence_time INTEGER NOT NULL,
    modified_ledger INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trustlines (
    account_id BLOB NOT NULL, asset_code BLOB NOT NULL, issuer BLOB NOT NULL, balance INTEGER NOT NULL,
    line_limit INTEGER NOT NULL, flags INTEGER NOT NULL, modified_ledger INTEGER NOT NULL,
    PRIMARY KEY (account_id, asset_code, issuer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS data_entries (
    account_id BLOB NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL, modified_ledger INTEGER NOT NULL,
    PRIMARY KEY (account_id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transactions (
    ledger INTEGER NOT NULL, application_order INTEGER NOT NULL, hash BLOB NOT NULL, inner_hash BLOB,
    succeeded INTEGER NOT NULL, operations INTEGER NOT NULL, fee INTEGER NOT NULL,
    envelope BLOB NOT NULL, result BLOB NOT NULL, meta BLOB NOT NULL,
    PRIMARY KEY (ledger, application_order)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS transactions_hash ON transactions (hash);
CREATE INDEX IF NOT EXISTS transactions_inner_hash ON transactions (inner_hash)
    WHERE inner_hash IS NOT NULL;
CREATE TABLE IF NOT EXISTS payments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ledger INTEGER NOT NULL, hash BLOB NOT NULL,
    operation_index INTEGER NOT NULL, kind TEXT NOT NULL, sender BLOB NOT NULL, recipient BLOB NOT NULL,
    recipient_mux TEXT, asset_code BLOB, issuer BLOB, amount INTEGER NOT NULL,
    memo_type TEXT NOT NULL, memo BLOB);
CREATE INDEX IF NOT EXISTS payments_sender ON payments (sender, id);
CREATE INDEX IF NOT EXISTS payments_recipient ON payments (recipient, id);
CREATE TABLE IF NOT EXISTS queue (hash BLOB PRIMARY KEY, envelope BLOB NOT NULL);
"""


class StateUnusable(RuntimeError):
    """The state file cannot be used; the message says why and what to do."""


class StateFile:
    """The file, locked against other processes, with two ways in.

    ``db`` flushes every commit to the disk. ``unflushed`` does not: what it writes survives the death of this
    process, though not of the machine.
    """

    def __init__(self, path: Path) -> None:
        self._lock = _lock(path)
        try:
            self.db = _connect(path, synchronous="FULL")
            self.db.executescript(SCHEMA)
            self.unflushed = _connect(path, synchronous="NORMAL")
        except sqlite3.Error as error:
            self._lock.close()
            raise StateUnusable(f"{path} cannot be opened as a state file: {error}") from error

    def close(self) -> None:
        """Close the file and let another process have it."""
        self.unflushed.close()
        self.db.close()
        self._lock.close()


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Commit at the end, or roll everything back."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _lock(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise StateUnusable(f"{path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise StateUnusable(f"{path} is in use by another sandbox; stop it or choose another file") from error
    return handle


def _connect(path: Path, *, synchronous: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    db.execute("PRAGMA cache_size = -4096")
    return db
