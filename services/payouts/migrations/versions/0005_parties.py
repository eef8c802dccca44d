"""Who is behind a payout and its destination: nobody of them decides on it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from prizewire_chassis.db.schema import fix_search_path

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GUARD = """
CREATE FUNCTION approvals_by_no_party() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM payouts p WHERE p.payout_id = NEW.payout_id AND (
            NEW.approver = p.filed_by OR NEW.approver = p.player
            OR EXISTS (SELECT 1 FROM jsonb_array_elements(p.sources) s WHERE s->>1 = NEW.approver)
        )
    ) THEN
        RAISE EXCEPTION '% is a party of payout % and cannot approve it', NEW.approver, NEW.payout_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    for name in ("sources", "one_person"):
        op.add_column("payouts", sa.Column(name, JSONB(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("payout_methods", sa.Column("registered_by", sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE payout_methods m SET registered_by = (SELECT c.actor FROM payout_method_changes c "
        "WHERE c.method_id = m.method_id AND c.change = 'registered' ORDER BY c.version LIMIT 1)"
    )
    op.execute(
        "ALTER TABLE payout_methods ADD CONSTRAINT payout_methods_registered_by CHECK (registered_by <> '') NOT VALID"
    )
    op.execute(GUARD)
    fix_search_path(op, "approvals_by_no_party()")
    op.execute(
        "CREATE TRIGGER approvals_by_no_party BEFORE INSERT OR UPDATE ON approvals "
        "FOR EACH ROW EXECUTE FUNCTION approvals_by_no_party()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER approvals_by_no_party ON approvals")
    op.execute("DROP FUNCTION approvals_by_no_party()")
    op.drop_column("payout_methods", "registered_by")
    op.drop_column("payouts", "one_person")
    op.drop_column("payouts", "sources")
