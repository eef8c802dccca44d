"""Rounds and payouts are listed by the time of their last change, to be compared with settlement and payouts."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE rounds ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now()")
    op.execute("-- squawk-ignore ban-drop-default\nALTER TABLE rounds ALTER COLUMN changed_at DROP DEFAULT")
    op.execute("CREATE INDEX rounds_changed ON rounds (changed_at, id)")
    op.execute("CREATE INDEX payouts_changed ON payouts (changed_at, id)")


def downgrade() -> None:
    for index in ("payouts_changed", "rounds_changed"):
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {index}")
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE rounds DROP COLUMN changed_at")
