"""Details that a request names itself are a method of this payout alone; a payout whose details cannot be used fails at once."""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payout_methods ADD COLUMN payout_id uuid",
    "-- squawk-ignore ban-drop-not-null\nALTER TABLE payout_methods ALTER COLUMN player DROP NOT NULL",
    "ALTER TABLE payout_methods ADD CONSTRAINT payout_methods_owner CHECK (player IS NOT NULL OR payout_id IS NOT NULL) NOT VALID",
    "ALTER TABLE payout_methods ADD CONSTRAINT payout_methods_inline CHECK (payout_id IS NULL OR NOT is_default) NOT VALID",
    "CREATE UNIQUE INDEX payout_methods_payout ON payout_methods (payout_id) WHERE payout_id IS NOT NULL",
    """
    CREATE UNIQUE INDEX payout_methods_registered ON payout_methods (player, destination_mac)
    WHERE state = 'active' AND payout_id IS NULL
    """,
    "-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX payout_methods_destination",
    "INSERT INTO payouts_state_edges VALUES ('requested', 'closing_failed')",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Destinations of payouts are not lost by a migration."""
    raise RuntimeError("what payouts lead to is not taken away by a migration: restore a backup")
