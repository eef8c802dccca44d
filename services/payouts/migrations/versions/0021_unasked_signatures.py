"""Transactions that the signer signed and payouts did not ask for: somebody else may use payouts' key."""

from alembic import op

from prizewire_chassis.db.schema import bound_times

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE stellar_unasked (
        tx_hash text PRIMARY KEY,
        slot_id uuid NOT NULL,
        account text NOT NULL,
        payout_ids uuid[] NOT NULL,
        max_time bigint,
        event_id text NOT NULL,
        signed_at timestamptz NOT NULL,
        CONSTRAINT stellar_unasked_tx_hash_form CHECK (tx_hash ~ '^[0-9a-f]{64}$')
    )
    """,
    """
    CREATE TABLE stellar_unasked_ends (
        tx_hash text PRIMARY KEY REFERENCES stellar_unasked (tx_hash) ON DELETE CASCADE,
        outcome text NOT NULL,
        ledger bigint,
        found_at timestamptz NOT NULL,
        CONSTRAINT stellar_unasked_ends_outcome CHECK (
            outcome = 'without_effect' OR (outcome = 'applied' AND ledger IS NOT NULL)
        )
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    bound_times(op, "stellar_unasked", "signed_at")
    bound_times(op, "stellar_unasked_ends", "found_at")


def downgrade() -> None:
    op.execute("DROP TABLE stellar_unasked_ends")
    op.execute("DROP TABLE stellar_unasked")
