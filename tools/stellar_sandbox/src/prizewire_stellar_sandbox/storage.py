"""The sandbox's state in one SQLite file.

A closed ledger is one transaction, flushed to disk before anybody can see the ledger. Accepted transactions are
written as they come, without a flush: they survive the death of this process, as good as a node's memory does.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.apply import AppliedTransaction, ClosedLedger
from prizewire_stellar_sandbox.core.clock import LedgerPoint
from prizewire_stellar_sandbox.core.frames import FeeBumpFrame, Frame
from prizewire_stellar_sandbox.core.model import (
    Account,
    AccountId,
    AccountKey,
    AnyAsset,
    Asset,
    DataEntry,
    DataKey,
    Entry,
    Key,
    Signer,
    Transfer,
    Trustline,
    TrustlineKey,
)

RETENTION_LEDGERS: Final = 120_960
"""How many ledgers back transactions are kept: the real RPC's default, seven days of five-second ledgers."""

_CACHE_ENTRIES_MAX: Final = 20_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS network (passphrase TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledgers (
    sequence INTEGER PRIMARY KEY, close_time INTEGER NOT NULL, closed_at_ms INTEGER NOT NULL,
    interval_ms INTEGER NOT NULL, fee_pool INTEGER NOT NULL, transactions INTEGER NOT NULL,
    operations INTEGER NOT NULL);
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


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A transaction of a closed ledger, as getTransaction shows it."""

    ledger: int
    close_time: int
    order: int
    fee_bump: bool
    succeeded: bool
    operations: int
    fee: int
    envelope: bytes
    result: bytes
    meta: bytes


@dataclass(frozen=True, slots=True)
class StoredPayment:
    """Value that was really moved, in the order in which it was."""

    id: int
    ledger: int
    hash: bytes
    transfer: Transfer
    memo_type: str
    memo: bytes | None


class Storage:
    """Reads and writes the state file. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._lock = _lock(path)
        try:
            self._db = _connect(path, synchronous="FULL")
            self._db.executescript(_SCHEMA)
            self._unflushed = _connect(path, synchronous="NORMAL")
        except sqlite3.Error as error:
            self._lock.close()
            raise StateUnusable(f"{path} cannot be opened as a state file: {error}") from error
        self._cache: dict[Key, Entry] = {}

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._unflushed.close()
        self._db.close()
        self._lock.close()

    def passphrase(self) -> str | None:
        """The network that this state belongs to; None in a new file."""
        row = self._db.execute("SELECT passphrase FROM network").fetchone()
        return None if row is None else str(row[0])

    def create(self, *, passphrase: str, point: LedgerPoint, root: Account) -> None:
        """Write the genesis ledger."""
        with _transaction(self._db) as db:
            db.execute("INSERT INTO network VALUES (?)", (passphrase,))
            self._write_point(point, fee_pool=0, transactions=0, operations=0)
            self._write_entries({root.key: root})

    # Ledgers

    def latest(self) -> tuple[LedgerPoint, int]:
        """The last ledger written down, and its fee pool in stroops."""
        row = self._db.execute(
            "SELECT sequence, close_time, closed_at_ms, interval_ms, fee_pool FROM ledgers"
            " ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        return LedgerPoint(*row[:4]), row[4]

    def anchor_of(self, sequence: int) -> LedgerPoint | None:
        """The last ledger written down up to this one: what its close time is worked out from."""
        row = self._db.execute(
            "SELECT sequence, close_time, closed_at_ms, interval_ms FROM ledgers WHERE sequence <= ?"
            " ORDER BY sequence DESC LIMIT 1",
            (sequence,),
        ).fetchone()
        return None if row is None else LedgerPoint(*row)

    def write_anchor(self, point: LedgerPoint, *, fee_pool: int) -> None:
        """Write an empty ledger down, because ledgers follow at another pace from here on."""
        with _transaction(self._db):
            self._write_point(point, fee_pool=fee_pool, transactions=0, operations=0)

    def write_ledger(self, closed: ClosedLedger, point: LedgerPoint) -> None:
        """Write a closed ledger: entries, transactions, payments; and forget what is out of retention."""
        applied = closed.transactions
        with _transaction(self._db) as db:
            self._write_point(
                point,
                fee_pool=closed.header.fee_pool,
                transactions=len(applied),
                operations=sum(item.frame.operation_count for item in applied),
            )
            self._write_entries(closed.changes)
            db.executemany(
                "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (_transaction_row(point.sequence, item) for item in applied),
            )
            db.executemany(
                "INSERT INTO payments (ledger, hash, operation_index, kind, sender, recipient, recipient_mux,"
                " asset_code, issuer, amount, memo_type, memo) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (row for item in applied for row in _payment_rows(point.sequence, item)),
            )
            settled = (*(item.frame for item in applied), *closed.dropped)
            db.executemany("DELETE FROM queue WHERE hash = ?", ((frame.hash,) for frame in settled))
            self._forget_before(point.sequence - RETENTION_LEDGERS + 1)
        for key, entry in closed.changes.items():
            self._remember(key, entry)

    def _write_point(self, point: LedgerPoint, *, fee_pool: int, transactions: int, operations: int) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO ledgers VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                point.sequence,
                point.close_time,
                point.closed_at_ms,
                point.interval_ms,
                fee_pool,
                transactions,
                operations,
            ),
        )

    def _forget_before(self, oldest: int) -> None:
        if oldest <= 1:
            return
        self._db.execute("DELETE FROM transactions WHERE ledger < ?", (oldest,))
        # The last ledger before the oldest one stays: the oldest one's close time follows from it.
        self._db.execute(
            "DELETE FROM ledgers WHERE sequence < (SELECT max(sequence) FROM ledgers WHERE sequence <= ?)",
            (oldest,),
        )

    # Entries

    def get(self, key: Key) -> Entry | None:
        """An entry as of the last closed ledger."""
        entry = self._cache.get(key)
        if entry is None:
            entry = self._read(key)
            if entry is not None:
                self._remember(key, entry)
        return entry

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

    def _write_entries(self, changes: dict[Key, Entry | None]) -> None:
        db = self._db
        gone = [key for key, entry in changes.items() if entry is None]
        accounts = [entry for entry in changes.values() if isinstance(entry, Account)]
        lines = [entry for entry in changes.values() if isinstance(entry, Trustline)]
        values = [entry for entry in changes.values() if isinstance(entry, DataEntry)]
        db.executemany(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_account_row(account) for account in accounts),
        )
        db.executemany(
            "INSERT OR REPLACE INTO trustlines VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    line.account_id,
                    *line.asset,
                    line.balance,
                    line.limit,
                    line.flags,
                    line.modified_ledger,
                )
                for line in lines
            ),
        )
        db.executemany(
            "INSERT OR REPLACE INTO data_entries VALUES (?, ?, ?, ?)",
            ((entry.account_id, entry.name, entry.value, entry.modified_ledger) for entry in values),
        )
        for key in gone:
            if isinstance(key, AccountKey):
                db.execute("DELETE FROM accounts WHERE account_id = ?", key)
            elif isinstance(key, TrustlineKey):
                db.execute(
                    "DELETE FROM trustlines WHERE account_id = ? AND asset_code = ? AND issuer = ?",
                    (key.account_id, *key.asset),
                )
            elif isinstance(key, DataKey):
                db.execute("DELETE FROM data_entries WHERE account_id = ? AND name = ?", key)

    def trustlines_of(self, account_id: AccountId) -> list[Trustline]:
        """All trustlines of an account."""
        rows = self._db.execute("SELECT * FROM trustlines WHERE account_id = ?", (account_id,))
        return [_trustline(row) for row in rows]

    def data_of(self, account_id: AccountId) -> list[DataEntry]:
        """All data entries of an account."""
        rows = self._db.execute("SELECT * FROM data_entries WHERE account_id = ?", (account_id,))
        return [DataEntry(*row) for row in rows]

    # Transactions

    def transaction(self, hash_: bytes, *, oldest: int) -> StoredTransaction | None:
        """A transaction by its own hash or, in a fee bump, by that of the transaction inside."""
        row = self._db.execute(
            "SELECT t.ledger, l.close_time, application_order, inner_hash IS NOT NULL, succeeded,"
            " t.operations, fee, envelope, result, meta"
            " FROM transactions t JOIN ledgers l ON l.sequence = t.ledger"
            " WHERE (hash = :hash OR inner_hash = :hash) AND t.ledger >= :oldest"
            " ORDER BY t.ledger DESC LIMIT 1",
            {"hash": hash_, "oldest": oldest},
        ).fetchone()
        if row is None:
            return None
        ledger, close_time, order, fee_bump, succeeded, operations, fee, envelope, result, meta = row
        return StoredTransaction(
            ledger=ledger,
            close_time=close_time,
            order=order,
            fee_bump=bool(fee_bump),
            succeeded=bool(succeeded),
            operations=operations,
            fee=fee,
            envelope=envelope,
            result=result,
            meta=zlib.decompress(meta),
        )

    def fees_since(self, ledger: int) -> list[int]:
        """Charged inclusion fees per operation, in stroops, of each transaction from that ledger on."""
        rows = self._db.execute(
            "SELECT fee / max(operations, 1) FROM transactions WHERE ledger >= ?", (ledger,)
        )
        return [row[0] for row in rows]

    def payments(
        self, *, account_id: AccountId | None, after: int, kinds: Sequence[str], limit: int
    ) -> list[StoredPayment]:
        """What was paid from or to an account (or at all), oldest first, beginning behind an id."""
        marks = ", ".join("?" * len(kinds))
        who = "" if account_id is None else " AND (sender = ? OR recipient = ?)"
        accounts = () if account_id is None else (account_id, account_id)
        rows = self._db.execute(
            f"SELECT * FROM payments WHERE id > ? AND kind IN ({marks}){who} ORDER BY id LIMIT ?",  # noqa: S608 - placeholders only
            (after, *kinds, *accounts, limit),
        )
        return [_payment(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many rows of each kind there are."""
        tables = ("accounts", "trustlines", "data_entries", "transactions", "payments")
        return {
            table: self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names from above
            for table in tables
        }

    # The queue

    def enqueue(self, frame: Frame, *, replaced: Frame | None) -> None:
        """Keep an accepted transaction for after a restart."""
        with _transaction(self._unflushed) as db:
            if replaced is not None:
                db.execute("DELETE FROM queue WHERE hash = ?", (replaced.hash,))
            db.execute("INSERT OR REPLACE INTO queue VALUES (?, ?)", (frame.hash, frame.envelope))

    def queued(self) -> Iterator[bytes]:
        """The envelopes that waited when the process ended, in the order of arrival."""
        for row in self._db.execute("SELECT envelope FROM queue ORDER BY rowid").fetchall():
            yield row[0]


class _transaction:  # noqa: N801 - reads as a statement
    """``with _transaction(db) as db:`` commits at the end, or rolls everything back."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


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


def _trustline(row: tuple[Any, ...]) -> Trustline:
    account_id, code, issuer, *rest = row
    return Trustline(account_id, Asset(code, issuer), *rest)


def _transaction_row(ledger: int, applied: AppliedTransaction) -> tuple[object, ...]:
    frame = applied.frame
    return (
        ledger,
        applied.order,
        frame.hash,
        frame.inner.hash if isinstance(frame, FeeBumpFrame) else None,
        applied.succeeded,
        frame.operation_count,
        applied.fee,
        frame.envelope,
        applied.result,
        zlib.compress(applied.meta, 1),  # long and repetitive: a tenth remains
    )


def _payment_rows(ledger: int, applied: AppliedTransaction) -> Iterable[tuple[object, ...]]:
    memo_type, memo = _memo(applied.frame.inner.memo)
    for transfer in applied.transfers:
        code, issuer = (None, None) if transfer.asset is None else transfer.asset
        yield (
            ledger,
            applied.frame.hash,
            transfer.operation_index,
            transfer.kind,
            transfer.sender,
            transfer.recipient,
            None if transfer.recipient_mux is None else str(transfer.recipient_mux),
            code,
            issuer,
            transfer.amount,
            memo_type,
            memo,
        )


def _memo(memo: xdr.Memo) -> tuple[str, bytes | None]:
    if memo.text is not None:
        return "text", memo.text
    if memo.id is not None:
        return "id", str(memo.id.uint64).encode()
    if memo.hash is not None:
        return "hash", memo.hash.hash
    if memo.ret_hash is not None:
        return "return", memo.ret_hash.hash
    return "none", None


def _payment(row: tuple[Any, ...]) -> StoredPayment:
    id_, ledger, hash_, index, kind, sender, recipient, mux, code, issuer, amount, memo_type, memo = row
    asset: AnyAsset = None if code is None else Asset(code, issuer)
    mux_id = None if mux is None else int(mux)
    transfer = Transfer(kind, index, sender, recipient, mux_id, asset, amount)
    return StoredPayment(id_, ledger, hash_, transfer, memo_type, memo)
