"""Facts of players that decide whether they are paid: identity check and tax form."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "players",
        sa.Column("player", sa.Text, primary_key=True),
        sa.Column("kyc_state", sa.Text),
        sa.Column("kyc_expires_at", moment),
        sa.Column("kyc_reported_at", moment),
        sa.Column("tax_state", sa.Text),
        sa.Column("tax_reported_at", moment),
        sa.Column("changed_at", moment),
        sa.CheckConstraint("(kyc_state IS NULL) = (kyc_reported_at IS NULL)", name="players_kyc_reported"),
        sa.CheckConstraint("(tax_state IS NULL) = (tax_reported_at IS NULL)", name="players_tax_reported"),
        sa.CheckConstraint("kyc_state IN ('none', 'pending', 'verified', 'rejected')", name="players_kyc"),
        sa.CheckConstraint("tax_state IN ('missing', 'filed', 'rejected')", name="players_tax"),
    )


def downgrade() -> None:
    op.execute("-- squawk-ignore ban-drop-table\nDROP TABLE players")
