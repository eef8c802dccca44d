"""Events of settlement about a disowned round have no effect. Each is stored, and none holds back later events."""

from alembic import op

from prizewire_chassis.db.schema import append_only

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE disowned_events (
    event_id text PRIMARY KEY,
    round_id uuid NOT NULL,
    what text NOT NULL CONSTRAINT disowned_events_what CHECK (what IN ('settled', 'corrected', 'finalized')),
    settlement_version integer NOT NULL,
    part integer,
    reason text,
    correlation_id text NOT NULL,
    at timestamptz NOT NULL
)
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("CREATE INDEX disowned_events_correlation ON disowned_events (correlation_id)")
    append_only(op, "disowned_events")


def downgrade() -> None:
    op.execute("DROP TABLE disowned_events")
