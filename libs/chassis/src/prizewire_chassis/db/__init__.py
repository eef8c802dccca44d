"""PostgreSQL: transactions, the chassis' own tables, and migrations."""

from prizewire_chassis.db.database import Database, after_commit, copy_rows, is_transient, sqlstate
from prizewire_chassis.db.tables import ChassisTables, chassis_tables

__all__ = [
    "ChassisTables",
    "Database",
    "after_commit",
    "chassis_tables",
    "copy_rows",
    "is_transient",
    "sqlstate",
]
