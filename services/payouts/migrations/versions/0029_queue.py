"""The queue of held payouts is sorted, and lists are filtered by code, without reading the whole table."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# Only the payouts that wait for a person are sorted so: the indexes hold nothing else, and cost a payout nothing that
# policy approves.
HELD = {
    "payouts_held_amount": ["asset", "amount_minor", "payout_id"],
    "payouts_held_asset": ["asset", "requested_at", "payout_id"],
    "payouts_held_player": [sa.text("coalesce(player, '')"), "requested_at", "payout_id"],
    "payouts_held_rail": [sa.text("coalesce(rail, '')"), "requested_at", "payout_id"],
}


def upgrade() -> None:
    for name, columns in HELD.items():
        op.create_index(name, "payouts", columns, postgresql_where=sa.text("state = 'held'"))
    op.create_index(
        "payouts_code",
        "payouts",
        ["code", "requested_at", "payout_id"],
        postgresql_where=sa.text("code IS NOT NULL"),
    )


def downgrade() -> None:
    for name in (*HELD, "payouts_code"):
        op.drop_index(name, "payouts")
