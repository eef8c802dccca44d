"""PostgreSQL: transactions, the chassis' own tables, and migrations."""

from prizewire_chassis.db.database import Database, after_commit, copy_rows, is_transient, sqlstate
from prizewire_chassis.db.transaction import Conflict, Read, Row, Transaction, Write, fetch, later, send_now

__all__ = [
    "Conflict",
    "Database",
    "Read",
    "Row",
    "Transaction",
    "Write",
    "after_commit",
    "copy_rows",
    "fetch",
    "is_transient",
    "later",
    "send_now",
    "sqlstate",
]
