"""Payments of one competition and of one player can be paused."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

SCOPES = "scope IN ('rail', 'asset', 'campaign', 'competition', 'player')"


def upgrade() -> None:
    op.execute("-- squawk-ignore ban-drop-constraint\nALTER TABLE pauses DROP CONSTRAINT pauses_scope")
    op.execute(f"ALTER TABLE pauses ADD CONSTRAINT pauses_scope CHECK ({SCOPES}) NOT VALID")


def downgrade() -> None:
    """A pause of a player or a competition is not forgotten."""
    raise RuntimeError(
        "pauses of players and competitions cannot be taken back by a migration: lift them, and restore the constraint by hand"
    )
