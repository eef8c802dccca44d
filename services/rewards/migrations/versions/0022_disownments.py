"""Two admins may disown a round that settlement never settled: what it booked is taken back, also where it is final."""

from alembic import op

from prizewire_chassis.db.schema import guard_transitions

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

EDGES = """
platform_fee_reversed fees reserved any
organizer_fee_reversed fees reserved any
organizer_fee_reversed wallet:winnings reserved any
entry_fee_reversed entry_fees wallet:winnings redeemable
entry_fee_reversed entry_fees wallet:topup redeemable
"""

DISOWNMENT_STATES = (
    ("filed", "approved"),
    ("filed", "rejected"),
)

TABLE = (
    """
    CREATE TABLE round_disownments (
        id uuid PRIMARY KEY,
        round_id uuid NOT NULL,
        reason text NOT NULL CONSTRAINT round_disownments_reason CHECK (reason <> ''),
        state text NOT NULL,
        filed_by text NOT NULL,
        filed_at timestamptz NOT NULL,
        decided_by text,
        decided_at timestamptz,
        decision text,
        CONSTRAINT round_disownments_decided CHECK ((state = 'filed') = (decided_by IS NULL)),
        CONSTRAINT round_disownments_decided_at CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
        CONSTRAINT round_disownments_two_persons CHECK (state <> 'approved' OR decided_by <> filed_by)
    )
    """,
    "CREATE INDEX round_disownments_listed ON round_disownments (filed_at, id)",
    "CREATE UNIQUE INDEX round_disownments_one ON round_disownments (round_id) WHERE state <> 'rejected'",
    """
    CREATE TRIGGER round_disownments_bound BEFORE UPDATE ON round_disownments FOR EACH ROW
    WHEN ((OLD.id, OLD.round_id, OLD.reason, OLD.filed_by, OLD.filed_at)
          IS DISTINCT FROM (NEW.id, NEW.round_id, NEW.reason, NEW.filed_by, NEW.filed_at))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
    """
    CREATE TRIGGER round_disownments_kept BEFORE DELETE OR TRUNCATE ON round_disownments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

# Only an approved disownment takes back what is final. The argument names the column with the id of the round.
DISOWNED_ONLY = (
    """
    CREATE FUNCTION refuse_unless_disowned() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE round uuid := to_jsonb(OLD) ->> TG_ARGV[0];
    BEGIN
        IF NOT EXISTS (SELECT 1 FROM round_disownments d WHERE d.round_id = round AND d.state = 'approved') THEN
            RAISE EXCEPTION '%: round % is final, and two admins have not disowned it', TG_TABLE_NAME, round
                USING ERRCODE = 'check_violation', CONSTRAINT = 'round_disowned';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER rounds_disowned BEFORE UPDATE OF state ON rounds FOR EACH ROW
    WHEN (OLD.state = 'final' AND NEW.state = 'voided') EXECUTE FUNCTION refuse_unless_disowned('id')
    """,
    """
    CREATE TRIGGER entries_disowned BEFORE UPDATE OF state ON entries FOR EACH ROW
    WHEN (OLD.state = 'earned' AND NEW.state = 'refunded') EXECUTE FUNCTION refuse_unless_disowned('round_id')
    """,
    "DROP TRIGGER entry_rounds_forward ON entry_rounds",
    """
    CREATE TRIGGER entry_rounds_forward BEFORE UPDATE ON entry_rounds FOR EACH ROW
    WHEN (OLD.ended_as IS NOT NULL AND NEW.ended_as IS DISTINCT FROM OLD.ended_as
          AND NOT (OLD.ended_as = 'earned' AND NEW.ended_as IS NOT DISTINCT FROM 'refunded')
          OR OLD.asset IS NOT NULL AND (NEW.asset, NEW.fee) IS DISTINCT FROM (OLD.asset, OLD.fee))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
    """
    CREATE TRIGGER entry_rounds_disowned BEFORE UPDATE OF ended_as ON entry_rounds FOR EACH ROW
    WHEN (OLD.ended_as = 'earned' AND NEW.ended_as = 'refunded') EXECUTE FUNCTION refuse_unless_disowned('id')
    """,
)

# Whoever books new rounds holds the lock shared, and whoever disowns a round that was never booked holds it alone: one of
# the two sees what the other did. A settlement that comes in between is tried again, and refused then.
BIRTHS = (
    """
    CREATE FUNCTION refuse_disowned_rounds() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(hashtext('prizewire.round_births'));
        IF EXISTS (SELECT 1 FROM round_disownments d JOIN born b ON b.id = d.round_id WHERE d.state = 'approved') THEN
            RAISE EXCEPTION 'a disowned round is never booked' USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER rounds_owned AFTER INSERT ON rounds REFERENCING NEW TABLE AS born
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_disowned_rounds()
    """,
)

# What goes back out of fees is what two admins disowned, once, and never more than there is. Withdrawals as before.
FEES_REACH = """
CREATE OR REPLACE FUNCTION ledger_fees_reach() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE taken record;
BEGIN
    FOR taken IN
        SELECT p.debit_account AS account, p.asset,
               bool_or(p.type IN ('fee_withdrawn', 'entry_fee_withdrawn')) AS leaves
        FROM posted p
        WHERE p.type IN ('fee_withdrawn', 'entry_fee_withdrawn', 'entry_fee_reversed')
           OR (p.type IN ('platform_fee_reversed', 'organizer_fee_reversed') AND p.debit_kind = 'fees')
        GROUP BY p.debit_account, p.asset ORDER BY 1
    LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(CAST(taken.account AS text), 0));
        IF (SELECT b.balance < 0 FROM ledger_balances b WHERE b.id = taken.account) THEN
            RAISE EXCEPTION 'more fees in % would leave than there are', taken.asset
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_fees_reach';
        END IF;
        IF taken.leaves AND NOT (SELECT a.redeemable FROM assets a WHERE a.code = taken.asset) THEN
            RAISE EXCEPTION '% is not redeemable and cannot leave', taken.asset
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_fees_redeemable';
        END IF;
    END LOOP;
    FOR taken IN
        SELECT p.id, p.type, p.amount, p.correlation_id, p.cause, p.credit_account, p.credit_kind,
               CASE WHEN pg_input_is_valid(split_part(p.cause, '/', 2), 'uuid')
                    THEN CAST(split_part(p.cause, '/', 2) AS uuid) END AS named
        FROM posted p
        WHERE p.type IN ('platform_fee_reversed', 'organizer_fee_reversed', 'entry_fee_reversed')
    LOOP
        IF NOT (CASE taken.type
            WHEN 'entry_fee_reversed' THEN EXISTS (
                SELECT 1 FROM entries e JOIN round_disownments d ON d.round_id = e.round_id AND d.state = 'approved'
                JOIN ledger_accounts c ON c.id = taken.credit_account AND c.owner = e.player
                WHERE e.id = taken.named AND e.correlation_id = taken.correlation_id AND taken.amount =
                      CASE taken.credit_kind WHEN 'wallet:topup' THEN e.from_topup ELSE e.from_winnings END)
            ELSE EXISTS (
                SELECT 1 FROM rounds r JOIN round_disownments d ON d.round_id = r.id AND d.state = 'approved'
                WHERE r.id = taken.named AND r.correlation_id = taken.correlation_id AND taken.amount <=
                      CASE taken.type WHEN 'platform_fee_reversed' THEN r.platform_fee ELSE r.organizer_fee END) END)
            OR EXISTS (
                SELECT 1 FROM ledger_transfers o WHERE o.correlation_id = taken.correlation_id AND o.type = taken.type
                AND split_part(o.cause, '/', 2) = CAST(taken.named AS text) AND o.credit_kind = taken.credit_kind
                AND o.id <> taken.id)
        THEN
            RAISE EXCEPTION '%: no disownment takes this back, because of %', taken.type, taken.cause
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_fees_disowned';
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    for type_, debit, credit, which in (line.split() for line in EDGES.strip().splitlines()):
        redeemable = "true" if which == "redeemable" else "false"
        op.execute(f"INSERT INTO ledger_edges VALUES ('{type_}', '{debit}', '{credit}', {redeemable})")  # noqa: S608 - our own words
    for statement in TABLE:
        op.execute(statement)
    guard_transitions(op, table="round_disownments", allowed=DISOWNMENT_STATES, start=["filed"])
    op.execute("INSERT INTO rounds_state_edges VALUES ('final', 'voided')")
    op.execute("INSERT INTO entries_state_edges VALUES ('earned', 'refunded')")
    for statement in (*DISOWNED_ONLY, *BIRTHS, FEES_REACH):
        op.execute(statement)


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("rounds that were disowned cannot be taken back by a migration")
