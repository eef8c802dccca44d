"""The service loses the right to delete from its inbox; ``privileges.yaml`` says what it may do from now on."""

from alembic import op

from prizewire_chassis.db.schema import create_chassis_schema_v2

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_chassis_schema_v2(op)


def downgrade() -> None:
    """Rights are not given back by a migration."""
    raise RuntimeError("what the database refuses cannot be allowed again by a migration")
