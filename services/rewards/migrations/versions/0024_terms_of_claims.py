"""A claim keeps the version of its campaign's settings under which it was opened."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Claims that are there are judged by the first settings, and by those in force.
    op.execute("ALTER TABLE claims ADD COLUMN settings_version integer NOT NULL DEFAULT 1")
    op.execute(
        "-- squawk-ignore ban-drop-default\nALTER TABLE claims ALTER COLUMN settings_version DROP DEFAULT"
    )
    op.execute(
        """
        CREATE TRIGGER claims_settings_bound BEFORE UPDATE ON claims FOR EACH ROW
        WHEN (OLD.settings_version IS DISTINCT FROM NEW.settings_version)
        EXECUTE FUNCTION claims_refuse_rebinding()
        """
    )


def downgrade() -> None:
    """By which settings a claim is judged is not forgotten: restore a backup instead."""
    raise RuntimeError("the settings of claims are not taken back by a migration")
