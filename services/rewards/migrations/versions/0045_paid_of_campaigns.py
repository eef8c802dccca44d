"""What each campaign has paid, summed up over transfers in the order of their numbers, for metrics.

The sums begin at the first transfer: a job adds those of the past in batches, as it does with new ones.
"""

from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE TABLE campaign_paid (campaign uuid PRIMARY KEY REFERENCES campaigns (id), paid bigint NOT NULL)",
    """
    CREATE TABLE campaign_paid_upto (
        one boolean PRIMARY KEY DEFAULT true CONSTRAINT campaign_paid_upto_one CHECK (one),
        seq bigint NOT NULL
    )
    """,
    "INSERT INTO campaign_paid_upto (seq) VALUES (0)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Nothing depends on the sums but metrics: they may go."""
    for table in ("campaign_paid_upto", "campaign_paid"):
        op.execute(f"-- squawk-ignore ban-drop-table\nDROP TABLE {table}")
