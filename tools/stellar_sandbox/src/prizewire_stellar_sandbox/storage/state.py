"""The whole state: ledgers, entries, history and the queue, written together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prizewire_stellar_sandbox.core.apply import ClosedLedger
from prizewire_stellar_sandbox.core.clock import LedgerPoint
from prizewire_stellar_sandbox.core.frames import Frame
from prizewire_stellar_sandbox.core.model import Account
from prizewire_stellar_sandbox.storage.entries import EntryStore
from prizewire_stellar_sandbox.storage.file import StateFile, transaction
from prizewire_stellar_sandbox.storage.history import History

RETENTION_LEDGERS: Final = 120_960
"""How many ledgers back transactions are kept: the real RPC's default, seven days of five-second ledgers."""

_COUNTED: Final = ("accounts", "trustlines", "data_entries", "transactions", "payments")


class Storage:
    """Reads and writes the state file. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path)
        self._db = self._file.db
        self.entries = EntryStore(self._db)
        self.history = History(self._db)

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._file.close()

    def passphrase(self) -> str | None:
        """The network that this state belongs to; None in a new file."""
        row = self._db.execute("SELECT passphrase FROM network").fetchone()
        return None if row is None else str(row[0])

    def create(self, *, passphrase: str, point: LedgerPoint, root: Account) -> None:
        """Write the genesis ledger."""
        with transaction(self._db) as db:
            db.execute("INSERT INTO network VALUES (?)", (passphrase,))
            self._write_point(point, fee_pool=0)
            self.entries.write({root.key: root})

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
        with transaction(self._db):
            self._write_point(point, fee_pool=fee_pool)

    def write_ledger(self, closed: ClosedLedger, point: LedgerPoint) -> None:
        """Write a closed ledger: entries, transactions, payments; and forget what is out of retention."""
        applied = closed.transactions
        with transaction(self._db) as db:
            self._write_point(point, fee_pool=closed.header.fee_pool)
            self.entries.write(closed.changes)
            self.history.write(point.sequence, applied)
            settled = (*(item.frame for item in applied), *closed.dropped)
            db.executemany("DELETE FROM queue WHERE hash = ?", ((frame.hash,) for frame in settled))
            self._forget_before(point.sequence - RETENTION_LEDGERS + 1)
        self.entries.written(closed.changes)

    def enqueue(self, frame: Frame, *, replaced: Frame | None) -> None:
        """Keep an accepted transaction for after a restart."""
        with transaction(self._file.unflushed) as db:
            if replaced is not None:
                db.execute("DELETE FROM queue WHERE hash = ?", (replaced.hash,))
            db.execute("INSERT OR REPLACE INTO queue VALUES (?, ?)", (frame.hash, frame.envelope))

    def queued(self) -> Iterator[bytes]:
        """The envelopes that waited when the process ended, in the order of arrival."""
        for row in self._db.execute("SELECT envelope FROM queue ORDER BY rowid").fetchall():
            yield row[0]

    def counts(self) -> dict[str, int]:
        """How many rows of each kind there are."""
        return {
            table: self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names from above
            for table in _COUNTED
        }

    def _write_point(self, point: LedgerPoint, *, fee_pool: int) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO ledgers VALUES (?, ?, ?, ?, ?)",
            (point.sequence, point.close_time, point.closed_at_ms, point.interval_ms, fee_pool),
        )

    def _forget_before(self, oldest: int) -> None:
        self.history.forget_before(oldest)
        # The last ledger before the oldest one stays: the oldest one's close time follows from it.
        self._db.execute(
            "DELETE FROM ledgers WHERE sequence < (SELECT max(sequence) FROM ledgers WHERE sequence <= ?)",
            (oldest,),
        )
