"""The transactions of closed ledgers, and the payments that were applied."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.apply import AppliedTransaction
from prizewire_stellar_sandbox.core.frames import FeeBumpFrame
from prizewire_stellar_sandbox.core.model import AccountId, AnyAsset, Asset, Transfer


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
    """A payment that was applied; ids have the order of application."""

    id: int
    ledger: int
    hash: bytes
    transfer: Transfer
    memo_type: str
    memo: bytes | None


class History:
    """Transactions for as long as they are retained, payments for ever."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def write(self, ledger: int, applied: Sequence[AppliedTransaction]) -> None:
        """Write a ledger's transactions, within the caller's transaction."""
        self._db.executemany(
            "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (_transaction_row(ledger, item) for item in applied),
        )
        self._db.executemany(
            "INSERT INTO payments (ledger, hash, operation_index, kind, sender, recipient, recipient_mux,"
            " asset_code, issuer, amount, memo_type, memo) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (row for item in applied for row in _payment_rows(ledger, item)),
        )

    def forget_before(self, ledger: int) -> None:
        """Drop transactions that are out of retention, within the caller's transaction."""
        self._db.execute("DELETE FROM transactions WHERE ledger < ?", (ledger,))

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
