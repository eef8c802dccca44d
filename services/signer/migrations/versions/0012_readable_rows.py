"""The database refuses times that the service cannot read and counters that cannot rise: one row stopped the worker."""

from alembic import op

from prizewire_chassis.db.schema import (
    bound_counters,
    bound_times,
    create_chassis_schema_v6,
    drop_chassis_schema_v6,
    unbound,
)

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TIMES = {
    "answers": ("at",),
    "digests": ("recorded_at",),
    "payouts": ("free_at",),
    "signatures": ("signed_at",),
    "signing_work": (
        "event_time",
        "received_at",
        "ready_at",
        "finished_at",
    ),
    "told_refusals": ("told_at",),
    "transitions": ("at",),
}
DAYS = {
    "limit_counts": ("day",),
    "limit_use": ("window_start",),
    "payouts": ("counted_on",),
}
COUNTERS = {
    "answer_versions": ("version",),
    "payouts": ("slots_used",),
    "told_refusals": ("count",),
}


def upgrade() -> None:
    create_chassis_schema_v6(op)
    for table in TIMES.keys() | DAYS.keys():
        bound_times(op, table, *TIMES.get(table, ()), days=DAYS.get(table, ()))
    for table, columns in COUNTERS.items():
        bound_counters(op, table, *columns)


def downgrade() -> None:
    """No row changes."""
    unbound(op, times=TIMES.keys() | DAYS.keys(), counters=COUNTERS)
    drop_chassis_schema_v6(op)
