"""The database refuses times that the service cannot read and counters that cannot rise: one row stopped the worker."""

from alembic import op

from prizewire_chassis.db.schema import (
    bound_counters,
    bound_times,
    create_chassis_schema_v6,
    drop_chassis_schema_v6,
    unbound,
)

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TIMES = {
    "competition_rules": ("created_at",),
    "competitions": (
        "created_at",
        "updated_at",
    ),
    "entries": ("entered_at",),
    "round_disownments": ("at",),
    "round_refusals": ("at",),
    "round_results": ("received_at",),
    "round_transitions": ("at",),
    "rounds": (
        "final_at",
        "created_at",
        "updated_at",
        "waiting_since",
        "refused_at",
        "disowned_at",
    ),
    "settlements": (
        "final_at",
        "settled_at",
    ),
    "source_tokens": (
        "created_at",
        "expires_at",
        "revoked_at",
    ),
}
COUNTERS = {
    "competitions": ("rule_version",),
    "rounds": (
        "rule_version",
        "state_seq",
        "version",
        "settlement_version",
    ),
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
