"""Evidence of two persons about the outcome of a payment."""

from alembic import op

from prizewire_chassis.db.schema import SEARCH_PATH, bound_times, guard_transitions, runtime_role

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

EDGES = [("filed", "confirmed"), ("filed", "refused")]
TABLE = """
    CREATE TABLE payout_evidence (
        evidence_id uuid PRIMARY KEY,
        payout_id uuid NOT NULL,
        attempt_no int NOT NULL,
        rail text NOT NULL,
        state text NOT NULL,
        finding text NOT NULL,
        reference text NOT NULL,
        note text NOT NULL,
        filed_by text NOT NULL,
        filed_at timestamptz NOT NULL,
        decided_by text,
        decided_at timestamptz,
        decision_note text,
        FOREIGN KEY (payout_id, attempt_no) REFERENCES attempts (payout_id, attempt_no),
        CONSTRAINT payout_evidence_finding CHECK (finding IN ('paid', 'no_effect')),
        CONSTRAINT payout_evidence_decided CHECK (
            (state = 'filed') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)
        ),
        CONSTRAINT payout_evidence_two_persons CHECK (state <> 'confirmed' OR decided_by <> filed_by)
    )
"""
FIXED = """
    IF (NEW.evidence_id, NEW.payout_id, NEW.attempt_no, NEW.rail, NEW.finding, NEW.reference, NEW.note, NEW.filed_by, NEW.filed_at)
        IS DISTINCT FROM
        (OLD.evidence_id, OLD.payout_id, OLD.attempt_no, OLD.rail, OLD.finding, OLD.reference, OLD.note, OLD.filed_by, OLD.filed_at)
        OR OLD.state <> 'filed' THEN
        RAISE EXCEPTION 'evidence % stays as it was filed', OLD.evidence_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(
        "CREATE UNIQUE INDEX payout_evidence_one ON payout_evidence (payout_id, attempt_no) WHERE state IN ('filed', 'confirmed')"
    )
    op.execute("CREATE INDEX payout_evidence_filed ON payout_evidence (filed_at) WHERE state = 'filed'")
    op.execute("CREATE INDEX payout_evidence_payout ON payout_evidence (payout_id, filed_at)")
    bound_times(op, "payout_evidence", "filed_at", "decided_at")
    guard_transitions(op, table="payout_evidence", allowed=EDGES, start=["filed"])
    op.execute(
        f"CREATE FUNCTION payout_evidence_fixed() RETURNS trigger LANGUAGE plpgsql SET search_path = {SEARCH_PATH} "
        f"AS $$ BEGIN {FIXED} END $$"
    )
    op.execute(
        "CREATE TRIGGER payout_evidence_fixed BEFORE UPDATE ON payout_evidence FOR EACH ROW "
        "EXECUTE FUNCTION payout_evidence_fixed()"
    )
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE DELETE, TRUNCATE ON payout_evidence FROM "{role}"')


def downgrade() -> None:
    op.execute("DROP TABLE payout_evidence")
    op.execute("DROP TABLE payout_evidence_state_edges")
    op.execute("DROP FUNCTION payout_evidence_state_edges_check()")
    op.execute("DROP FUNCTION payout_evidence_fixed()")
