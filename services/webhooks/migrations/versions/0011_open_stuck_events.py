"""Stuck events that wait for a person are counted by index."""

from alembic import op

from prizewire_chassis.db.schema import create_chassis_schema_v8, drop_chassis_schema_v8

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_chassis_schema_v8(op)


def downgrade() -> None:
    drop_chassis_schema_v8(op)
