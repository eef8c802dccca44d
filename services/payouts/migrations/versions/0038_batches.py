"""Payouts that were requested together as a batch, each with its line."""

from alembic import op

from prizewire_chassis.db.schema import append_only, bound_times

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

# Neither the number of a line nor a second payout for it is refused here: rewards signed both, and a refused request would leave its
# money waiting. A check names them, and nobody approves such a batch as a whole.
STATEMENTS = (
    """
    CREATE TABLE payout_batches (
        batch_id uuid PRIMARY KEY,
        lines integer NOT NULL,
        filed_by text NOT NULL,
        requested_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX payout_batches_listing ON payout_batches (requested_at, batch_id)",
    "ALTER TABLE payouts ADD COLUMN batch_id uuid",
    "ALTER TABLE payouts ADD COLUMN batch_line integer",
    "ALTER TABLE payouts ADD COLUMN batch_lines integer",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_batch CHECK (
        (batch_id IS NULL) = (batch_line IS NULL) AND (batch_id IS NULL) = (batch_lines IS NULL)
    ) NOT VALID
    """,
    "CREATE INDEX payouts_batch_lines ON payouts (batch_id, batch_line) WHERE batch_id IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    append_only(op, "payout_batches")
    bound_times(op, "payout_batches", "requested_at")


def downgrade() -> None:
    for name in ("batch_lines", "batch_line", "batch_id"):
        op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN {name}")
    op.execute("DROP TABLE payout_batches")
