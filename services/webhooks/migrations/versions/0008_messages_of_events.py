"""A public event keeps its message from Kafka, so that its signature is verified before each attempt to deliver it.

Rows from before this migration have no message and cannot be verified: an open delivery of theirs ends as dead with
``event_without_message``. Wait before the migration until no delivery is open (`prizewire_webhook_deliveries_open`), then stop
the service: a process of the former version cannot store events any more. The old rows keep their body, which nothing reads.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE public_events ADD COLUMN message bytea",
    "ALTER TABLE public_events ADD CONSTRAINT public_events_message CHECK (message IS NOT NULL) NOT VALID",
    "-- squawk-ignore ban-drop-not-null\nALTER TABLE public_events ALTER COLUMN body DROP NOT NULL",
    # The next statement adds it again, with one more outcome.
    "-- squawk-ignore ban-drop-constraint\nALTER TABLE attempts DROP CONSTRAINT attempts_outcome",
    """
    ALTER TABLE attempts ADD CONSTRAINT attempts_outcome CHECK (
        outcome IN ('open', 'delivered', 'refused', 'failed', 'gone', 'lost', 'unverified')) NOT VALID
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """The messages are the proof of what was delivered."""
    raise RuntimeError("the messages of events are not deleted by a migration: restore a backup")
