"""Stuck events that wait for a person are counted by index. It also serves the query by reasons, whose own index held all rows."""

from alembic import op

from prizewire_chassis.db.schema import create_chassis_schema_v8, drop_chassis_schema_v8

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_chassis_schema_v8(op)
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX stuck_events_reasons")


def downgrade() -> None:
    op.execute(
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE INDEX stuck_events_reasons ON stuck_events (state, reason)"
    )
    drop_chassis_schema_v8(op)
