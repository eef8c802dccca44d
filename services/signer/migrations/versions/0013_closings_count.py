"""Payouts that were signed before and are closed count into a limit of the day."""

from alembic import op

from prizewire_chassis.db.schema import bound_times, unbound

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE payouts ADD COLUMN closed_on date")
    # Payouts that were closed before this migration have no day; their rows never change again.
    op.execute(
        "ALTER TABLE payouts ADD CONSTRAINT payouts_closed_on CHECK ("
        "(closed_on IS NOT NULL) = (state = 'tombstoned' AND terms IS NOT NULL)) NOT VALID"
    )
    # The check gives way to one with a further column.
    op.execute("-- squawk-ignore ban-drop-constraint\nALTER TABLE payouts DROP CONSTRAINT payouts_times")
    bound_times(op, "payouts", "free_at", days=("counted_on", "closed_on"))
    op.execute("CREATE INDEX payouts_closed_on ON payouts (closed_on, asset) WHERE closed_on IS NOT NULL")


def downgrade() -> None:
    """No row changes."""
    unbound(op, times=["payouts"])
    bound_times(op, "payouts", "free_at", days=("counted_on",))
    op.execute("DROP INDEX payouts_closed_on")
    op.execute("ALTER TABLE payouts DROP COLUMN closed_on")
