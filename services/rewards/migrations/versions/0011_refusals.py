"""Settlement versions that can never be booked."""

from alembic import op

from prizewire_chassis.db.schema import append_only

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE round_refusals (
    round_id uuid NOT NULL,
    settlement_version integer NOT NULL,
    part integer NOT NULL,
    code text NOT NULL CONSTRAINT round_refusals_code
        CHECK (code IN ('campaign_unknown', 'asset_mismatch', 'campaign_ended')),
    detail text NOT NULL,
    campaign uuid NOT NULL,
    asset text NOT NULL,
    match_id text NOT NULL,
    version integer NOT NULL,
    cause text NOT NULL,
    correlation_id text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (round_id, settlement_version)
)
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("CREATE INDEX round_refusals_correlation ON round_refusals (correlation_id)")
    append_only(op, "round_refusals")


def downgrade() -> None:
    op.execute("DROP TABLE round_refusals")
