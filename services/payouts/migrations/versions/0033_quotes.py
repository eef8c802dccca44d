"""A payout keeps the quote at which it is paid, as payouts signed it and the intent names it."""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE payouts ADD COLUMN quote jsonb")


def downgrade() -> None:
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN quote")
