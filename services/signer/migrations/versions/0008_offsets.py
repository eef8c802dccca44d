"""A stored offset names the message before it, and is never negative."""

from alembic import op

from prizewire_chassis.db.schema import create_chassis_schema_v4

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_chassis_schema_v4(op)


def downgrade() -> None:
    """Nothing is lost: without the hash a consumer trusts the number."""
    op.execute(
        "ALTER TABLE consumer_offsets DROP CONSTRAINT consumer_offsets_next_offset_check, DROP COLUMN last_hash"
    )
