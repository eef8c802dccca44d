"""Recorded legal approvals of rails: filed by one person and confirmed by another."""

from alembic import op

from prizewire_chassis.db.schema import bound_times, guard_transitions

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

APPROVALS = """
CREATE TABLE legal_approvals (
    approval_id uuid PRIMARY KEY,
    scope text NOT NULL,
    value text NOT NULL,
    reference text NOT NULL,
    jurisdictions text[] NOT NULL,
    ends_at timestamptz NOT NULL,
    state text NOT NULL,
    filed_by text NOT NULL,
    filed_at timestamptz NOT NULL,
    confirmed_by text,
    confirmed_at timestamptz,
    ended_by text,
    ended_at timestamptz,
    CONSTRAINT legal_approvals_scope CHECK (scope IN ('rail', 'rail_type')),
    CONSTRAINT legal_approvals_by_two_persons CHECK (confirmed_by <> filed_by),
    CONSTRAINT legal_approvals_confirmed CHECK (state <> 'confirmed' OR (confirmed_by IS NOT NULL AND confirmed_at IS NOT NULL)),
    CONSTRAINT legal_approvals_ended CHECK ((state = 'ended') = (ended_by IS NOT NULL AND ended_at IS NOT NULL))
)
"""


def upgrade() -> None:
    op.execute(APPROVALS)
    guard_transitions(
        op,
        table="legal_approvals",
        allowed=(("filed", "confirmed"), ("filed", "ended"), ("confirmed", "ended")),
        start=("filed",),
    )
    bound_times(op, "legal_approvals", "ends_at", "filed_at", "confirmed_at", "ended_at")


def downgrade() -> None:
    op.execute("DROP TABLE legal_approvals")
    op.execute("DROP FUNCTION legal_approvals_state_edges_check()")
    op.execute("DROP TABLE legal_approvals_state_edges")
