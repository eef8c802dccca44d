"""Held prizes by round: what a campaign's final rounds still keep back is found without a look at all of them."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX rewards_held ON rewards (round_id) WHERE state = 'held'")


def downgrade() -> None:
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX rewards_held")
