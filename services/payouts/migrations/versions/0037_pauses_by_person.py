"""Two persons may pause the same: each pause is lifted by itself."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE UNIQUE INDEX pauses_in_force_by_person ON pauses (scope, value, paused_by) WHERE resumed_at IS NULL"
    )
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX pauses_in_force")


def downgrade() -> None:
    """A second person's pause is not lost by a migration."""
    raise RuntimeError(
        "pauses of two persons are not merged by a migration: lift them, and restore the index by hand"
    )
