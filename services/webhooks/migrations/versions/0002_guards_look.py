"""Guards read the schema's own tables, whatever temporary tables a session makes."""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    fix_search_path(op, "subscriptions_state_edges_check()", "deliveries_state_edges_check()")


def downgrade() -> None:
    """Guards are not blinded again."""
    raise RuntimeError("what the database refuses cannot be allowed again by a migration")
