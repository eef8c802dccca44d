"""Each part of a result has a MAC over its row: a part that settlement did not write is not settled.

Parts that are older than this migration have no MAC. Those that wait are not settled: have them reported again. The
results of settled rounds are not read again, but for a refused round that is to be resettled: resolve it with results.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE round_results ADD COLUMN mac bytea")


def downgrade() -> None:
    """What proves a stored part is not deleted by a migration."""
    raise RuntimeError("the MACs of parts are not deleted by a migration: restore a backup")
