"""Rounds that wait for their result are counted without a scan of all rounds."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX rounds_unsettled ON rounds (state) WHERE state IN ('OPEN', 'CLOSED', 'RESOLVED')"
    )


def downgrade() -> None:
    """No row changes."""
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX rounds_unsettled")
