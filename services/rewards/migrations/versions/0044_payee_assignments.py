"""Two admins name who is paid in a player's place, and a payout names that person and their assignment."""

from alembic import op

from prizewire_chassis.db.schema import bound_times, guard_transitions, unbound

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

STATES = (
    ("proposed", "in_force"),
    ("proposed", "withdrawn"),
    ("proposed", "expired"),
    ("in_force", "ended"),
    ("in_force", "expired"),
)

TABLE = (
    """
    CREATE TABLE payee_assignments (
        id uuid PRIMARY KEY,
        player text NOT NULL,
        payee text NOT NULL,
        reason text NOT NULL CONSTRAINT payee_assignments_reason CHECK (reason <> ''),
        until timestamptz,
        state text NOT NULL,
        proposed_by text NOT NULL,
        proposed_at timestamptz NOT NULL,
        confirmed_by text,
        in_force_from timestamptz,
        ended_by text,
        ended_at timestamptz,
        end_reason text,
        CONSTRAINT payee_assignments_payee CHECK (payee <> player),
        CONSTRAINT payee_assignments_proposer CHECK (proposed_by <> player AND proposed_by <> payee),
        CONSTRAINT payee_assignments_two_persons
            CHECK (confirmed_by <> proposed_by AND confirmed_by <> player AND confirmed_by <> payee),
        CONSTRAINT payee_assignments_confirmed CHECK (
            (confirmed_by IS NULL) = (in_force_from IS NULL) AND (state NOT IN ('in_force', 'ended') OR confirmed_by IS NOT NULL)
            AND (state NOT IN ('proposed', 'withdrawn') OR confirmed_by IS NULL)
        ),
        CONSTRAINT payee_assignments_ended CHECK (
            (ended_by IS NULL) = (ended_at IS NULL) AND (ended_by IS NULL) = (end_reason IS NULL)
            AND (ended_by IS NOT NULL) = (state IN ('ended', 'withdrawn')) AND ended_by <> player
        ),
        CONSTRAINT payee_assignments_named UNIQUE (id, player, payee)
    )
    """,
    "CREATE INDEX payee_assignments_listed ON payee_assignments (proposed_at, id)",
    "CREATE INDEX payee_assignments_player ON payee_assignments (player, proposed_at)",
    "CREATE INDEX payee_assignments_payee ON payee_assignments (payee, proposed_at)",
    "CREATE UNIQUE INDEX payee_assignments_one ON payee_assignments (player, state) WHERE state IN ('proposed', 'in_force')",
    """
    CREATE TRIGGER payee_assignments_bound BEFORE UPDATE ON payee_assignments FOR EACH ROW
    WHEN ((OLD.id, OLD.player, OLD.payee, OLD.reason, OLD.until, OLD.proposed_by, OLD.proposed_at)
          IS DISTINCT FROM (NEW.id, NEW.player, NEW.payee, NEW.reason, NEW.until, NEW.proposed_by, NEW.proposed_at)
          OR OLD.confirmed_by IS NOT NULL
          AND (OLD.confirmed_by, OLD.in_force_from) IS DISTINCT FROM (NEW.confirmed_by, NEW.in_force_from)
          OR OLD.ended_by IS NOT NULL
          AND (OLD.ended_by, OLD.ended_at, OLD.end_reason) IS DISTINCT FROM (NEW.ended_by, NEW.ended_at, NEW.end_reason))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
    """
    CREATE TRIGGER payee_assignments_kept BEFORE DELETE OR TRUNCATE ON payee_assignments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

PAYOUTS = (
    "ALTER TABLE payouts ADD COLUMN payee text",
    "ALTER TABLE payouts ADD COLUMN assignment uuid",
    "ALTER TABLE payouts ADD COLUMN assigners jsonb NOT NULL DEFAULT '[]'",
    "ALTER TABLE payouts ADD CONSTRAINT payouts_payee CHECK ((payee IS NULL) = (assignment IS NULL)) NOT VALID",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_assignment FOREIGN KEY (assignment, player, payee)
    REFERENCES payee_assignments (id, player, payee) NOT VALID
    """,
    """
    CREATE TRIGGER payouts_payee_bound BEFORE UPDATE OF payee, assignment, assigners ON payouts FOR EACH ROW
    WHEN ((OLD.payee, OLD.assignment, OLD.assigners) IS DISTINCT FROM (NEW.payee, NEW.assignment, NEW.assigners))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
)


def upgrade() -> None:
    for statement in TABLE:
        op.execute(statement)
    bound_times(op, "payee_assignments", "proposed_at", stated=("until", "in_force_from", "ended_at"))
    guard_transitions(op, table="payee_assignments", allowed=STATES, start=["proposed"])
    for statement in PAYOUTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER payouts_payee_bound ON payouts")
    for name in ("assigners", "assignment", "payee"):
        op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN {name}")
    unbound(op, times=("payee_assignments",), counters={})
    op.execute("DROP TABLE payee_assignments")
    op.execute("DROP TABLE payee_assignments_state_edges")
    op.execute("DROP FUNCTION payee_assignments_state_edges_check()")
