"""The signer's audit records, as they come from Kafka: rows are only added."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from prizewire_chassis.db.schema import bound_times

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


# A row that does not continue the chain would keep out the signer's own records for good, as nobody may delete it.
_CONTINUES = """
    CREATE FUNCTION signer_audit_records_continue() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE last_sequence bigint; last_hash text;
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtext('prizewire.signer_audit'));
        SELECT a.sequence, a.hash INTO last_sequence, last_hash FROM signer_audit_records a
            ORDER BY a.sequence DESC LIMIT 1;
        IF NEW.sequence IS NULL OR NEW.sequence - 1 <> coalesce(last_sequence, 0)
            OR NEW.prev_hash IS DISTINCT FROM coalesce(last_hash, repeat('0', 64))
            OR NEW.hash IS NULL OR NEW.hash !~ '^[0-9a-f]{64}$'
        THEN
            RAISE EXCEPTION 'record % of the signer does not continue the chain, whose newest record is %',
                NEW.sequence, coalesce(last_sequence, 0) USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
"""


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
    op.execute(_CONTINUES)
    op.execute(
        "CREATE TRIGGER signer_audit_records_continue BEFORE INSERT ON signer_audit_records "
        "FOR EACH ROW EXECUTE FUNCTION signer_audit_records_continue()"
    )
    op.execute(
        "CREATE TRIGGER signer_audit_records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON signer_audit_records "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("-- squawk-ignore ban-drop-table\nDROP TABLE signer_audit_records")
    op.execute("DROP FUNCTION signer_audit_records_continue()")
