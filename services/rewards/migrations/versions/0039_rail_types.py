"""A payout method has the types of all rails that pay to it, in order of preference."""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


TYPE = """-- squawk-ignore changing-column-type
ALTER TABLE payout_methods ALTER COLUMN rail_type TYPE text[] USING ARRAY[rail_type]"""
"""Nothing is released: the table is small. Its triggers watch rows, of which none is updated by this."""
NAME = """-- squawk-ignore renaming-column
ALTER TABLE payout_methods RENAME COLUMN rail_type TO rail_types"""


def upgrade() -> None:
    op.execute(TYPE)
    op.execute(NAME)


def downgrade() -> None:
    op.execute("ALTER TABLE payout_methods RENAME COLUMN rail_types TO rail_type")
    op.execute(
        "ALTER TABLE payout_methods ALTER COLUMN rail_type TYPE text USING coalesce(rail_type[1], type)"
    )
