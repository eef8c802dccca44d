"""Payouts are listed by the time at which the database stored them last, which nobody who writes a row can choose."""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STAMP = """
CREATE FUNCTION payouts_stored_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.stored_at := now();
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE payouts ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now()")
    op.execute(STAMP)
    fix_search_path(op, "payouts_stored_at()")
    op.execute(
        "CREATE TRIGGER payouts_stored_at BEFORE INSERT OR UPDATE ON payouts "
        "FOR EACH ROW EXECUTE FUNCTION payouts_stored_at()"
    )
    op.create_index("payouts_stored", "payouts", ["stored_at", "payout_id"])


def downgrade() -> None:
    op.drop_index("payouts_stored", "payouts")
    op.execute("DROP TRIGGER payouts_stored_at ON payouts")
    op.execute("DROP FUNCTION payouts_stored_at()")
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN stored_at")
