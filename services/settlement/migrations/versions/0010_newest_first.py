"""Competitions and tokens of sources are listed newest first."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX competitions_recent ON competitions (created_at, id)")
    op.execute("CREATE INDEX source_tokens_recent ON source_tokens (created_at, id)")


def downgrade() -> None:
    op.execute("DROP INDEX source_tokens_recent")
    op.execute("DROP INDEX competitions_recent")
