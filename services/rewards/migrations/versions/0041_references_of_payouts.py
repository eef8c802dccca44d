"""An operator's payout keeps the id that the caller gave it, under which the account pays once."""

from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payouts ADD COLUMN reference text",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_reference CHECK (reference IS NULL OR funding_account IS NOT NULL) NOT VALID
    """,
    """
    CREATE UNIQUE INDEX payouts_one_of_reference ON payouts (funding_account, reference)
    WHERE reference IS NOT NULL AND retry_of IS NULL AND state NOT IN ('failed', 'rejected', 'cancelled')
    """,
    """
    CREATE TRIGGER payouts_reference_bound BEFORE UPDATE OF reference ON payouts FOR EACH ROW
    WHEN (OLD.reference IS DISTINCT FROM NEW.reference) EXECUTE FUNCTION refuse_rebinding_row()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER payouts_reference_bound ON payouts")
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN reference")
