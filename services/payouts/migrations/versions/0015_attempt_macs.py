"""Each attempt has a MAC over its row: an attempt that payouts did not write proves nothing.

A payout with an attempt that is not proved to be without effect becomes ``unknown``, and its rail is asked. Attempts that
are older than this migration have no MAC: before such a payout is tried again or ends, its rail is asked once more.
"""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# A payout that was held and is `unknown` needs the approvals of its hold too. Its rail also changes as it becomes `unknown`: to that of the attempt about which the rail is asked.
GUARD = """
CREATE OR REPLACE FUNCTION payouts_decided() RETURNS trigger LANGUAGE plpgsql AS $$
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
    IF NEW.rail IS DISTINCT FROM OLD.rail AND NEW.state <> 'approved' AND NOT (
        NEW.state = 'unknown' AND OLD.state <> 'unknown'
    ) THEN
        RAISE EXCEPTION 'payout %: the rail of a payout that is % does not change', NEW.payout_id, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payouts_rail';
    END IF;
    IF NEW.state <> OLD.state AND NEW.state IN ('approved', 'submitting') THEN
        needed := greatest(OLD.approvers_needed, CASE WHEN OLD.state IN ('held', 'unknown') AND OLD.hold_no > 0 THEN 1 ELSE 0 END);
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
    op.execute("ALTER TABLE attempts ADD COLUMN mac bytea")
    op.execute(
        "INSERT INTO payouts_state_edges VALUES ('requested', 'unknown'), ('held', 'unknown'), ('approved', 'unknown')"
    )
    op.execute(GUARD)
    fix_search_path(op, "payouts_decided()")


def downgrade() -> None:
    """What the database refuses is not allowed again by a migration."""
    raise RuntimeError("what the database refuses cannot be allowed again by a migration")
