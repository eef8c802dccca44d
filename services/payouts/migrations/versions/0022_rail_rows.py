"""Rows that providers keep in payouts' database, by configured rail."""

from alembic import op

from prizewire_chassis.db.schema import bound_counters, bound_times

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLE = """
    CREATE TABLE rail_rows (
        rail text NOT NULL,
        collection text NOT NULL,
        name text COLLATE "C" NOT NULL,
        state text NOT NULL,
        payout_id uuid,
        document jsonb NOT NULL,
        details bytea,
        details_key text,
        version int NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (rail, collection, name),
        CONSTRAINT rail_rows_document_form CHECK (jsonb_typeof(document) = 'object'),
        CONSTRAINT rail_rows_details_have_a_key CHECK ((details IS NULL) = (details_key IS NULL)),
        CONSTRAINT rail_rows_version_from_one CHECK (version >= 1)
    )
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("CREATE INDEX rail_rows_state ON rail_rows (rail, collection, state, name)")
    op.execute("CREATE INDEX rail_rows_payout ON rail_rows (payout_id) WHERE payout_id IS NOT NULL")
    bound_times(op, "rail_rows", "changed_at")
    bound_counters(op, "rail_rows", "version")


def downgrade() -> None:
    op.execute("DROP TABLE rail_rows")
