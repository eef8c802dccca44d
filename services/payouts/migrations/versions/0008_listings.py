"""Lists of payouts are filtered by rail, asset and method without reading the whole table."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXES = {"payouts_rail": "rail", "payouts_asset": "asset", "payouts_method": "method_id"}


def upgrade() -> None:
    for name, column in INDEXES.items():
        op.create_index(name, "payouts", [column, "requested_at", "payout_id"])


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "payouts")
