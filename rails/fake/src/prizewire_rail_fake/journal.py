"""The stand-in's journal: the payment of each key, and every payment that was made.

It is a SQLite file where one is named, so that it survives a crash of the service and can be read by tests; else it is in
memory. ``effects`` is append-only: a payment made twice has two rows.
"""

import sqlite3
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    key TEXT PRIMARY KEY, payout_id TEXT NOT NULL, attempt_no INTEGER NOT NULL, asset TEXT NOT NULL,
    amount TEXT NOT NULL, state TEXT NOT NULL, code TEXT, scenario TEXT NOT NULL, looks INTEGER NOT NULL,
    made_at TEXT NOT NULL, body TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS effects (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, payout_id TEXT NOT NULL, asset TEXT NOT NULL,
    amount TEXT NOT NULL, at TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One payment in the journal. ``state`` is ``pending``, ``paid``, ``refused`` or ``returned``;
    ``looks`` counts how often it was asked about. ``body`` is a digest of the recipient's details, empty where the key was
    closed without a payment.
    """

    key: UUID
    payout_id: UUID
    attempt_no: int
    asset: str
    amount: str
    state: str
    code: str | None
    scenario: str
    looks: int
    body: str = ""


class Journal:
    """The journal. Each method is one transaction; concurrent calls of threads and processes wait for each other."""

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(
            ":memory:" if path is None else path, timeout=30, isolation_level=None, check_same_thread=False
        )
        self._db.execute("PRAGMA synchronous = FULL")
        if path is not None:
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)
        columns = {row[1] for row in self._db.execute("PRAGMA table_info(payments)")}
        if "body" not in columns:  # a file of an earlier version
            self._db.execute("ALTER TABLE payments ADD COLUMN body TEXT NOT NULL DEFAULT ''")

    def close(self) -> None:
        """Close the journal."""
        self._db.close()

    def find(self, key: UUID) -> Entry | None:
        """The payment of a key; None where there is none."""
        with self._lock:
            return self._find(key)

    def enter(self, entry: Entry, *, at: datetime) -> Entry:
        """Add a payment, with its effect where it is paid at once. An existing payment of the key is not changed."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            known = self._find(entry.key)
            if known is not None:
                return known
            self._db.execute(
                "INSERT INTO payments (key, payout_id, attempt_no, asset, amount, state, code, scenario, looks, made_at, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    str(entry.key),
                    str(entry.payout_id),
                    entry.attempt_no,
                    entry.asset,
                    entry.amount,
                    entry.state,
                    entry.code,
                    entry.scenario,
                    entry.looks,
                    at.isoformat(),
                    entry.body,
                ),
            )
            if entry.state == "paid":
                self._effect(entry, at)
            return entry

    def look(self, key: UUID) -> Entry | None:
        """Count one look-up, and return the payment."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("UPDATE payments SET looks = looks + 1 WHERE key = ?", (str(key),))
            return self._find(key)

    def turn(self, key: UUID, *, old: str, new: str, at: datetime, code: str | None = None) -> Entry | None:
        """Change a payment from one state to another, with its effect where it becomes paid. Other states are not changed."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            moved = self._db.execute(
                "UPDATE payments SET state = ?, code = ? WHERE key = ? AND state = ?",
                (new, code, str(key), old),
            ).rowcount
            entry = self._find(key)
            if moved and new == "paid" and entry is not None:
                self._effect(entry, at)
            return entry

    def effects(self, payout_id: UUID | None = None) -> int:
        """How many payments were made, for one payout or in all."""
        with self._lock:
            if payout_id is None:
                row = self._db.execute("SELECT count(*) FROM effects").fetchone()
            else:
                row = self._db.execute(
                    "SELECT count(*) FROM effects WHERE payout_id = ?", (str(payout_id),)
                ).fetchone()
        return int(row[0])

    def _effect(self, entry: Entry, at: datetime) -> None:
        self._db.execute(
            "INSERT INTO effects (key, payout_id, asset, amount, at) VALUES (?, ?, ?, ?, ?)",
            (str(entry.key), str(entry.payout_id), entry.asset, entry.amount, at.isoformat()),
        )

    def _find(self, key: UUID) -> Entry | None:
        row = self._db.execute(
            "SELECT payout_id, attempt_no, asset, amount, state, code, scenario, looks, body FROM payments WHERE key = ?",
            (str(key),),
        ).fetchone()
        if row is None:
            return None
        return Entry(
            key=key,
            payout_id=UUID(row[0]),
            attempt_no=row[1],
            asset=row[2],
            amount=row[3],
            state=row[4],
            code=row[5],
            scenario=row[6],
            looks=row[7],
            body=row[8],
        )
