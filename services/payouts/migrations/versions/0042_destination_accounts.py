"""A keyed mark of the account behind each payout method, by which payouts to one destination are counted.

A job marks the methods from before this revision, since only the service has the key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payout_methods", sa.Column("account_mac", sa.LargeBinary))
    op.create_index(
        "payout_methods_account",
        "payout_methods",
        ["account_mac"],
        postgresql_where=sa.text("account_mac IS NOT NULL"),
    )
    op.create_index(
        "payouts_address", "payouts", ["address"], postgresql_where=sa.text("address IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("payouts_address", "payouts")
    op.drop_index("payout_methods_account", "payout_methods")
    op.drop_column("payout_methods", "account_mac")
