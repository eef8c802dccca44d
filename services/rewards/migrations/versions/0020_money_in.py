"""Money that a person lets in has a record: who it was, and by which reference."""

from alembic import op

from prizewire_chassis.db.schema import append_only

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLE = (
    """
    CREATE TABLE money_in (
        id uuid PRIMARY KEY,
        type text NOT NULL
            CONSTRAINT money_in_type CHECK (type IN ('campaign_funded', 'funding_added', 'opening_balance')),
        account uuid NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        amount bigint NOT NULL CONSTRAINT money_in_amount CHECK (amount > 0),
        actor text NOT NULL CONSTRAINT money_in_actor CHECK (actor <> ''),
        reference text NOT NULL CONSTRAINT money_in_reference CHECK (reference <> ''),
        cause text NOT NULL,
        correlation_id text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    # The transfers that are held to their documents, a part of all: checks go through them by their ids.
    """
    CREATE INDEX ledger_transfers_documented ON ledger_transfers (id) WHERE debit_kind IN (
        'external_in', 'pool', 'treasury', 'payout_pending', 'entry_fee_escrow:winnings', 'entry_fee_escrow:topup'
    )
    """,
)


def upgrade() -> None:
    for statement in TABLE:
        op.execute(statement)
    append_only(op, "money_in")


def downgrade() -> None:
    """Who let money in is not forgotten."""
    raise RuntimeError("records of money that came in cannot be dropped by a migration")
