"""A row of the audit chain continues it: no login ends the chain by a far number or a hash that is none."""

from alembic import op

from prizewire_chassis.db.schema import create_chassis_schema_v5

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_chassis_schema_v5(op)


def downgrade() -> None:
    """Nothing is lost: the rows stay."""
    op.execute("DROP TRIGGER audit_log_continues ON audit_log")
    op.execute("DROP FUNCTION audit_log_continues()")
