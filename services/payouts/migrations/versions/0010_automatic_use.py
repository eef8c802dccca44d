"""What was approved without a person is counted by day (UTC) and asset, and the count only rises.

The count begins with what the histories hold, so that a day on which the service is upgraded has one limit.
"""

import sqlalchemy as sa
from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

GUARD = """
CREATE FUNCTION automatic_use_rises() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR (NEW.day, NEW.asset) <> (OLD.day, OLD.asset) OR NEW.used_minor < OLD.used_minor THEN
        RAISE EXCEPTION 'what was approved without a person on % in % only rises', OLD.day, OLD.asset
            USING ERRCODE = 'check_violation', CONSTRAINT = 'automatic_use_rises';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "automatic_use",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("used_minor", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("day", "asset"),
        sa.CheckConstraint("used_minor >= 0", name="automatic_use_minor"),
    )
    op.execute(
        "INSERT INTO automatic_use (day, asset, used_minor) "
        "SELECT CAST(t.at AT TIME ZONE 'UTC' AS date), p.asset, sum(p.amount_minor) "
        "FROM payout_transitions t JOIN payouts p USING (payout_id) "
        "WHERE t.from_state = 'requested' AND t.to_state = 'approved' AND t.actor = 'policy' GROUP BY 1, 2"
    )
    op.execute(GUARD)
    fix_search_path(op, "automatic_use_rises()")
    op.execute(
        "CREATE TRIGGER automatic_use_rises BEFORE UPDATE OR DELETE ON automatic_use "
        "FOR EACH ROW EXECUTE FUNCTION automatic_use_rises()"
    )


def downgrade() -> None:
    """What was approved without a person is not forgotten."""
    raise RuntimeError("what was approved without a person cannot be forgotten by a migration")
