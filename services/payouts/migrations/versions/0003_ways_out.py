"""Slots are voided, persons decide on what is in review, and attempts that wait for a limit do not count."""

from collections.abc import Sequence

from alembic import op

from prizewire_chassis.db.schema import guard_transitions, runtime_role

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

EVIDENCE_START = ("filed",)
EVIDENCE_EDGES = (("filed", "confirmed"), ("filed", "refused"))

TABLES = (
    # Not looked up in the rows that are there: until now there was no other kind than 'payment'.
    """
    ALTER TABLE stellar_attempts ADD CONSTRAINT stellar_attempts_kind CHECK (kind IN ('payment', 'void_slot')) NOT VALID
    """,
    """
    ALTER TABLE payouts ADD COLUMN attempts_waived integer NOT NULL DEFAULT 0
        CONSTRAINT payouts_attempts_waived CHECK (attempts_waived BETWEEN 0 AND attempts)
    """,
    """
    CREATE TABLE stellar_evidence (
        evidence_id uuid PRIMARY KEY,
        attempt_id bigint NOT NULL REFERENCES stellar_attempts (attempt_id),
        state text NOT NULL,
        outcome text NOT NULL,
        tx_hash text,
        ledger integer,
        found text NOT NULL,
        reason text NOT NULL,
        filed_by text NOT NULL,
        filed_at timestamptz NOT NULL,
        decided_by text,
        decided_at timestamptz,
        note text,
        CONSTRAINT stellar_evidence_outcome CHECK (
            outcome = 'failed' OR (outcome = 'succeeded' AND tx_hash IS NOT NULL AND ledger IS NOT NULL)
        ),
        CONSTRAINT stellar_evidence_decided CHECK (
            (state = 'filed') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)
        ),
        CONSTRAINT stellar_evidence_two_persons CHECK (state <> 'confirmed' OR decided_by <> filed_by)
    )
    """,
    """
    CREATE UNIQUE INDEX stellar_evidence_one ON stellar_evidence (attempt_id)
        WHERE state IN ('filed', 'confirmed')
    """,
    "CREATE INDEX stellar_evidence_attempt ON stellar_evidence (attempt_id, filed_at)",
)

GUARDS = {
    # What voids a slot pays nobody.
    "stellar_items_paying": (
        "AFTER UPDATE ON stellar_items REFERENCING NEW TABLE AS changed FOR EACH STATEMENT",
        """
        IF EXISTS (
            SELECT 1 FROM changed c JOIN stellar_attempts a USING (attempt_id)
            WHERE c.op IS NOT NULL AND a.kind <> 'payment'
        ) THEN
            RAISE EXCEPTION 'a transaction that voids a slot pays nobody' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;""",
    ),
    # Nothing leaves the quarantine but by evidence that a second person confirmed, and as that evidence says.
    "stellar_attempts_reviewed": (
        "BEFORE UPDATE OF state ON stellar_attempts FOR EACH ROW WHEN (OLD.state = 'review' AND NEW.state <> 'review')",
        """
        IF NOT EXISTS (
            SELECT 1 FROM stellar_evidence
            WHERE attempt_id = NEW.attempt_id AND state = 'confirmed' AND outcome = NEW.state
        ) THEN
            RAISE EXCEPTION 'two persons have not found that attempt % has %', NEW.attempt_id, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
    "stellar_evidence_fixed": (
        "BEFORE UPDATE ON stellar_evidence FOR EACH ROW",
        """
        IF (NEW.attempt_id, NEW.outcome, NEW.tx_hash, NEW.ledger, NEW.found, NEW.reason, NEW.filed_by, NEW.filed_at)
            IS DISTINCT FROM
            (OLD.attempt_id, OLD.outcome, OLD.tx_hash, OLD.ledger, OLD.found, OLD.reason, OLD.filed_by, OLD.filed_at)
            OR OLD.state <> 'filed' THEN
            RAISE EXCEPTION 'evidence % stays as it was filed', OLD.evidence_id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;""",
    ),
}


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    guard_transitions(op, table="stellar_evidence", allowed=EVIDENCE_EDGES, start=EVIDENCE_START)
    for name, (event, body) in GUARDS.items():
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
        op.execute(f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION {name}()")
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE DELETE, TRUNCATE ON stellar_evidence FROM "{role}"')


def downgrade() -> None:
    op.execute("DROP TRIGGER stellar_items_paying ON stellar_items")
    op.execute("DROP TRIGGER stellar_attempts_reviewed ON stellar_attempts")
    op.execute("DROP TABLE stellar_evidence")
    op.execute("DROP TABLE stellar_evidence_state_edges")
    op.execute("DROP FUNCTION stellar_evidence_state_edges_check()")
    for name in GUARDS:
        op.execute(f"DROP FUNCTION {name}()")
    op.execute("ALTER TABLE payouts DROP COLUMN attempts_waived")
    op.execute("ALTER TABLE stellar_attempts DROP CONSTRAINT stellar_attempts_kind")
