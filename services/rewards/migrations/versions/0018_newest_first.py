"""Indexes for listings of prizes and entries, the newest first. A prize keeps when its round was settled."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE rewards ADD COLUMN settled_at timestamptz NOT NULL DEFAULT now()")
    op.execute("UPDATE rewards x SET settled_at = r.settled_at FROM rounds r WHERE r.id = x.round_id")
    op.execute("-- squawk-ignore ban-drop-default\nALTER TABLE rewards ALTER COLUMN settled_at DROP DEFAULT")
    op.execute("CREATE INDEX rewards_listed ON rewards (player, settled_at, round_id)")
    op.execute("CREATE INDEX rounds_settled ON rounds (settled_at, id)")
    op.execute("CREATE INDEX entries_listed ON entries (player, entered_at, id)")
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX entries_player")


def downgrade() -> None:
    op.execute("CREATE INDEX entries_player ON entries (player, id)")
    for index in ("rewards_listed", "rounds_settled", "entries_listed"):
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {index}")
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE rewards DROP COLUMN settled_at")
