"""A payout that is asked to cancel keeps who wants it: its player, an operator, or rewards."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payouts ADD COLUMN cancel_code text",
    # Until now every cancel was told as the player's.
    "UPDATE payouts SET cancel_code = 'cancelled_by_player' WHERE cancel_asked_by IS NOT NULL",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_cancel_code
    CHECK ((cancel_asked_by IS NULL) = (cancel_code IS NULL)) NOT VALID
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN cancel_code")
