"""Operators' payouts may be filed together, as the lines of a batch."""

from alembic import op

from prizewire_chassis.db.schema import bound_times

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE payout_batches (
        id uuid PRIMARY KEY,
        funding_account text NOT NULL REFERENCES funding_accounts (name),
        reason text NOT NULL,
        filed_by text NOT NULL,
        filed_at timestamptz NOT NULL,
        lines integer NOT NULL CONSTRAINT payout_batches_lines CHECK (lines > 0),
        total bigint NOT NULL CONSTRAINT payout_batches_total CHECK (total > 0)
    )
    """,
    "CREATE INDEX payout_batches_newest ON payout_batches (filed_at DESC, id DESC)",
    """
    CREATE TRIGGER payout_batches_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payout_batches
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    "ALTER TABLE payouts ADD COLUMN batch_id uuid",
    "ALTER TABLE payouts ADD COLUMN batch_line integer",
    "ALTER TABLE payouts ADD CONSTRAINT payouts_batch_id FOREIGN KEY (batch_id) REFERENCES payout_batches (id) NOT VALID",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_batch CHECK (
        (batch_id IS NULL) = (batch_line IS NULL) AND (batch_id IS NULL OR funding_account IS NOT NULL)
    ) NOT VALID
    """,
    "CREATE UNIQUE INDEX payouts_one_of_line ON payouts (batch_id, batch_line) WHERE batch_id IS NOT NULL",
    """
    CREATE TRIGGER payouts_batch_bound BEFORE UPDATE OF batch_id, batch_line ON payouts FOR EACH ROW
    WHEN ((OLD.batch_id, OLD.batch_line) IS DISTINCT FROM (NEW.batch_id, NEW.batch_line))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    bound_times(op, "payout_batches", "filed_at")


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("batches of payouts cannot be taken back by a migration")
