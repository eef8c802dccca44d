"""Two indexes go that no query reads: top-ups are found by their id or correlation id, and staged parts by their round."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for index in ("staged_parts_first", "topups_player"):
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {index}")


def downgrade() -> None:
    op.execute("CREATE INDEX staged_parts_first ON staged_parts (staged_at)")
    op.execute("CREATE INDEX topups_player ON topups (player, credited_at)")
