"""The prizes of a player have one index: a prize keeps when its round was settled, so both find it."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX rewards_player")


def downgrade() -> None:
    op.execute("CREATE INDEX rewards_player ON rewards (player, round_id)")
