"""What an account holds at the moment of asking, also inside a statement that has waited for a lock."""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# VOLATILE: each call sees what is committed by then, whatever the statement around it sees.
BALANCE = """
CREATE FUNCTION ledger_balance(account uuid) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT a.balance FROM ledger_accounts a WHERE a.id = account
$$
"""


def upgrade() -> None:
    op.execute(BALANCE)
    fix_search_path(op, "ledger_balance(uuid)")


def downgrade() -> None:
    op.execute("DROP FUNCTION ledger_balance(uuid)")
