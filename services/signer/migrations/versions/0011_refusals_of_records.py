"""A request that is recorded in the database, but whose bytes were not approved, is refused."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO signing_work_state_edges VALUES ('recorded', 'refused')")


def downgrade() -> None:
    op.execute("DELETE FROM signing_work_state_edges WHERE from_state = 'recorded' AND to_state = 'refused'")
