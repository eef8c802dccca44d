"""Prizes by player and round, so that the status of a pending prize in a history is one look-up."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Both steps are one transaction: nobody reads prizes by their player while the index is built anew.
DROP = "-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX rewards_player"


def upgrade() -> None:
    op.execute(DROP)
    op.execute("CREATE INDEX rewards_player ON rewards (player, round_id)")


def downgrade() -> None:
    op.execute(DROP)
    op.execute("CREATE INDEX rewards_player ON rewards (player)")
