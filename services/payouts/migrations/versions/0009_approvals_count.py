"""The database counts approvals, and what a payout was decided on does not change behind them.

A payout becomes ``approved`` or ``submitting`` only with as many approvals of its hold as it needs. How many it needs
changes with a new hold alone and never falls. Its rail changes only while it is approved or becomes so.
"""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Approvals are by distinct persons (their primary key), none of them a party (migration 0005). An update may write the
# number of the next hold while the payout passes through `approved` on its way to it: the hold that it leaves counts.
GUARD = """
CREATE FUNCTION payouts_decided() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE given bigint; needed integer;
BEGIN
    IF NEW.hold_no <> OLD.hold_no AND (
        NEW.hold_no <> OLD.hold_no + 1 OR NEW.state = OLD.state OR NEW.state NOT IN ('held', 'approved')
    ) THEN
        RAISE EXCEPTION 'payout %: hold % does not become hold % in state %', NEW.payout_id, OLD.hold_no, NEW.hold_no, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payouts_hold';
    END IF;
    IF NEW.approvers_needed <> OLD.approvers_needed AND (
        NEW.hold_no = OLD.hold_no OR NEW.approvers_needed < OLD.approvers_needed
    ) THEN
        RAISE EXCEPTION 'payout % needs % approvers, and not %', NEW.payout_id, OLD.approvers_needed, NEW.approvers_needed
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payouts_approvers_needed';
    END IF;
    IF NEW.rail IS DISTINCT FROM OLD.rail AND NEW.state <> 'approved' THEN
        RAISE EXCEPTION 'payout %: the rail of a payout that is % does not change', NEW.payout_id, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payouts_rail';
    END IF;
    IF NEW.state <> OLD.state AND NEW.state IN ('approved', 'submitting') THEN
        needed := greatest(OLD.approvers_needed, CASE OLD.state WHEN 'held' THEN 1 ELSE 0 END);
        IF needed > 0 THEN
            SELECT count(*) INTO given FROM approvals a
            WHERE a.payout_id = OLD.payout_id AND a.hold_no = OLD.hold_no;
            IF given < needed THEN
                RAISE EXCEPTION 'payout % has % of % approvals and cannot become %', NEW.payout_id, given, needed, NEW.state
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'payouts_approvals';
            END IF;
        END IF;
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute(GUARD)
    fix_search_path(op, "payouts_decided()")
    op.execute(
        "CREATE TRIGGER payouts_decided BEFORE UPDATE OF state, hold_no, approvers_needed, rail ON payouts "
        "FOR EACH ROW EXECUTE FUNCTION payouts_decided()"
    )


def downgrade() -> None:
    """What the database refuses is not allowed again by a migration."""
    raise RuntimeError("what the database refuses cannot be allowed again by a migration")
