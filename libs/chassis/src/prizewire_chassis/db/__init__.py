"""PostgreSQL: transactions, the chassis' own tables, and migrations."""

from prizewire_chassis.db.database import Database, after_commit, copy_rows, is_transient, sqlstate
from prizewire_chassis.db.tables import ChassisTables, chassis_tables
from prizewire_chassis.db.transaction import Conflict, Write, later, send_now

__all__ = [
    "ChassisTables",
    "Conflict",
    "Database",
    "Write",
    "after_commit",
    "chassis_tables",
    "copy_rows",
    "is_transient",
    "later",
    "send_now",
    "sqlstate",
]
