"""The sandbox's state in one SQLite file.

A closed ledger is one transaction, flushed to disk before any client can read the ledger. Accepted transactions are
written as they come, without a flush: they survive the death of this process, as good as a node's memory does.
"""

from __future__ import annotations

from prizewire_stellar_sandbox.storage.file import StateUnusable
from prizewire_stellar_sandbox.storage.history import StoredPayment, StoredTransaction
from prizewire_stellar_sandbox.storage.state import RETENTION_LEDGERS, Storage

__all__ = [
    "RETENTION_LEDGERS",
    "StateUnusable",
    "Storage",
    "StoredPayment",
    "StoredTransaction",
]
