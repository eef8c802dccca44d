"""A payout may go to a destination that its request named: rewards keeps its type, its mask and a keyed digest."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payouts ADD COLUMN inline_type text",
    "ALTER TABLE payouts ADD COLUMN inline_masked text",
    "ALTER TABLE payouts ADD COLUMN inline_mark text",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_inline CHECK (
        (inline_type IS NULL) = (inline_masked IS NULL) AND (inline_type IS NULL) = (inline_mark IS NULL)
    ) NOT VALID
    """,
    # the method of such a destination belongs to one payout, and to those that retry it
    "CREATE UNIQUE INDEX payouts_one_of_inline ON payouts (method_id) WHERE inline_type IS NOT NULL AND retry_of IS NULL",
    # an operator's payout has a method where its request named the details of one
    "-- squawk-ignore ban-drop-constraint\nALTER TABLE payouts DROP CONSTRAINT payouts_source",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_source CHECK (
        (player IS NULL) = (funding_account IS NOT NULL) AND (method_id IS NULL) = (player IS NULL AND inline_type IS NULL)
        AND (method_id IS NULL) = (method_version IS NULL)
    ) NOT VALID
    """,
    """
    CREATE TRIGGER payouts_inline_bound BEFORE UPDATE OF inline_type, inline_masked, inline_mark ON payouts FOR EACH ROW
    WHEN ((OLD.inline_type, OLD.inline_masked, OLD.inline_mark)
          IS DISTINCT FROM (NEW.inline_type, NEW.inline_masked, NEW.inline_mark))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("payouts to destinations of their requests cannot be taken back by a migration")
