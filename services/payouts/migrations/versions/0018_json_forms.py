"""The database holds the JSON columns of a payout that never change to their forms: a row that the service could not read."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
ITEMS = {
    "reward_ids": f'@.type() == "string" && @ like_regex "{_UUID}"',
    "sources": '@.type() == "array" && @.size() == 2 && @[0].type() == "string" && @[1].type() == "string"',
    "one_person": '@.type() == "string"',
}
"""What each item of the array must be, as a jsonpath."""


def upgrade() -> None:
    for column, item in ITEMS.items():
        op.execute(
            f"ALTER TABLE payouts ADD CONSTRAINT payouts_{column} CHECK (jsonb_typeof({column}) = 'array' "
            f"AND NOT jsonb_path_exists({column}, 'strict $[*] ? (!({item}))')) NOT VALID"
        )


def downgrade() -> None:
    """No row changes."""
    for column in ITEMS:
        op.execute(f"ALTER TABLE payouts DROP CONSTRAINT payouts_{column}")
