"""The database refuses times that the service cannot read and counters that cannot rise: one row stopped the worker."""

from alembic import op

from prizewire_chassis.db.schema import (
    bound_counters,
    bound_times,
    create_chassis_schema_v6,
    drop_chassis_schema_v6,
    unbound,
)

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIMES = {
    "attempts": (
        "started_at",
        "finished_at",
    ),
    "deliveries": (
        "due_at",
        "give_up_at",
        "lease_until",
        "created_at",
        "changed_at",
    ),
    "provider_event_conflicts": ("received_at",),
    "provider_events": ("received_at",),
    "public_events": ("taken_at",),
    "subscription_secrets": (
        "created_at",
        "expires_at",
    ),
    "subscriptions": (
        "probe_at",
        "created_at",
        "changed_at",
    ),
    "transitions": ("at",),
}
COUNTERS = {
    "deliveries": (
        "attempts",
        "refusals",
    ),
    "subscriptions": ("failures",),
}


def upgrade() -> None:
    create_chassis_schema_v6(op)
    for table, columns in TIMES.items():
        bound_times(op, table, *columns)
    for table, columns in COUNTERS.items():
        bound_counters(op, table, *columns)


def downgrade() -> None:
    """No row changes."""
    unbound(op, times=TIMES, counters=COUNTERS)
    drop_chassis_schema_v6(op)
