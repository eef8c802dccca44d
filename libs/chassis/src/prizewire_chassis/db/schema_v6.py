"""The chassis' sixth version: times that Python can read. What is written here never changes."""

from typing import Final

TIMES: Final = {
    "consumer_offsets": ("updated_at",),
    "idempotency_keys": ("created_at",),
    "inbox": ("received_at",),
    "outbox": ("created_at",),
    "stuck_events": ("recorded_at", "replayed_at", "discarded_at"),
}
"""Columns by table. The audit log is not among them: its check reports a record with any time."""

_RANGE: Final = "BETWEEN '2000-01-01 00:00:00+00' AND '9998-12-31 23:59:59.999999+00'"
STATEMENTS: Final = tuple(
    f"ALTER TABLE {table} ADD CONSTRAINT {table}_times "
    f"CHECK ({' AND '.join(f'{column} {_RANGE}' for column in columns)}) NOT VALID"
    for table, columns in TIMES.items()
)
"""In the order in which they are run. They look at no row that is there already."""
