"""Stuck events can be discarded: by whom, when and why."""

from alembic import op

from prizewire_chassis.db.schema import create_chassis_schema_v3

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_chassis_schema_v3(op)


def downgrade() -> None:
    """Who gave up an event is not forgotten."""
    raise RuntimeError("what was discarded cannot be made to wait again by a migration")
