"""Each debt is compared with the sums of its own transfers, which are found by their groups.

Few groups are of debts, so the index costs the booking of prizes nothing.
"""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE INDEX ledger_groups_debts ON ledger_groups (split_part(cause, '/', 2))
        WHERE cause LIKE 'receivable/%'
        """
    )


def downgrade() -> None:
    op.execute("DROP INDEX ledger_groups_debts")
