"""A payout names the competition and the source of the match of its prize, and lists are filtered by them."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

COLUMNS = ("competition", "source")


def upgrade() -> None:
    for name in COLUMNS:
        op.execute(f"ALTER TABLE payouts ADD COLUMN {name} text")
    for name in ("campaign", *COLUMNS):
        op.execute(
            f"CREATE INDEX payouts_{name} ON payouts ({name}, requested_at, payout_id) WHERE {name} IS NOT NULL"
        )


def downgrade() -> None:
    for name in COLUMNS:
        op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN {name}")
    op.execute("DROP INDEX payouts_campaign")
