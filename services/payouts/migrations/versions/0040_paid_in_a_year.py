"""The list of a year finds what was paid in it."""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX payouts_paid ON payouts (paid_at) WHERE paid_at IS NOT NULL")


def downgrade() -> None:
    op.execute("DROP INDEX payouts_paid")
