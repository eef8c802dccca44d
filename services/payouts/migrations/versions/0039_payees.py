"""A payout names the person who is paid in the player's place, and lists of this person find it."""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payouts ADD COLUMN payee text",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_payee
    CHECK (payee IS NULL OR (player IS NOT NULL AND payee <> player)) NOT VALID
    """,
    "CREATE INDEX payouts_payee ON payouts (payee, requested_at, payout_id) WHERE payee IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN payee")
