"""An earlier booking under a reference is found without regard to case.

The indexes are not unique: bookings from before may have references that differ by case alone.
"""

from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE INDEX money_in_any_case ON money_in (account, lower(reference))
    WHERE type IN ('campaign_funded', 'funding_added')
    """,
    """
    CREATE INDEX fee_withdrawals_any_case ON fee_withdrawals (source, asset, lower(reference))
    WHERE state <> 'rejected'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for index in ("fee_withdrawals_any_case", "money_in_any_case"):
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {index}")
