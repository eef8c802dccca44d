"""A player's history shows each debt when it arises: the transfers that open debts are found by the player's account."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE INDEX ledger_transfers_debts ON ledger_transfers (debit_account, at, seq)
        WHERE debit_kind = 'receivable'
        """
    )


def downgrade() -> None:
    op.execute("DROP INDEX ledger_transfers_debts")
