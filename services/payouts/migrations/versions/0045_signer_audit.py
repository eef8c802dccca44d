"""The signer's audit records, as they come from Kafka: rows are only added."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from prizewire_chassis.db.schema import bound_times

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signer_audit_records",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detail", postgresql.JSONB, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("prev_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.CheckConstraint("sequence > 0", name="signer_audit_records_sequence"),
    )
    bound_times(op, "signer_audit_records", "at")
    op.create_index(
        "signer_audit_records_correlation", "signer_audit_records", ["correlation_id", "sequence"]
    )
    op.execute(
        "CREATE TRIGGER signer_audit_records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON signer_audit_records "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("-- squawk-ignore ban-drop-table\nDROP TABLE signer_audit_records")
