"""The trace of a correlation id, where a caller named one."""

from alembic import op

from prizewire_chassis.db.schema import create_chassis_schema_v7, drop_chassis_schema_v7

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_chassis_schema_v7(op)


def downgrade() -> None:
    drop_chassis_schema_v7(op)
