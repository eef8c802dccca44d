"""A payout may retry an ended one, which is retried once."""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payouts ADD COLUMN retry_of uuid",
    "ALTER TABLE payouts ADD CONSTRAINT payouts_retry_of FOREIGN KEY (retry_of) REFERENCES payouts (id) NOT VALID",
    "CREATE UNIQUE INDEX payouts_one_retry ON payouts (retry_of) WHERE retry_of IS NOT NULL",
    """
    CREATE TRIGGER payouts_retry_bound BEFORE UPDATE OF retry_of ON payouts FOR EACH ROW
    WHEN (OLD.retry_of IS DISTINCT FROM NEW.retry_of) EXECUTE FUNCTION refuse_rebinding_row()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER payouts_retry_bound ON payouts")
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN retry_of")
