"""What was refused is counted by kind, and told at intervals."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    """
    CREATE TABLE told_refusals (
        state text NOT NULL,
        reason text NOT NULL,
        count bigint NOT NULL,
        told_at timestamptz NOT NULL,
        PRIMARY KEY (state, reason)
    )""",
    "CREATE INDEX stuck_events_reasons ON stuck_events (state, reason)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
