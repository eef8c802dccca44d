"""An index goes that no query reads: a delivery is found by its subscription, by its correlation id or by its own id."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX deliveries_event")


def downgrade() -> None:
    op.execute("CREATE INDEX deliveries_event ON deliveries (event_id)")
