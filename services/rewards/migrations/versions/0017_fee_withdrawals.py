"""Fees may leave the system: filed by one person, approved by another, never more than there is."""

from alembic import op

from prizewire_chassis.db.schema import guard_transitions

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

EDGES = """
fee_withdrawn fees external_out redeemable
"""

WITHDRAWAL_STATES = (
    ("filed", "approved"),
    ("filed", "rejected"),
)

TABLE = (
    """
    CREATE TABLE fee_withdrawals (
        id uuid PRIMARY KEY,
        source text NOT NULL
            CONSTRAINT fee_withdrawals_source CHECK (source IN ('platform', 'organizer', 'entry_fees')),
        asset text NOT NULL REFERENCES assets (code),
        amount bigint NOT NULL CONSTRAINT fee_withdrawals_amount CHECK (amount > 0),
        reference text NOT NULL,
        state text NOT NULL,
        filed_by text NOT NULL,
        filed_at timestamptz NOT NULL,
        decided_by text,
        decided_at timestamptz,
        reason text,
        CONSTRAINT fee_withdrawals_decided CHECK ((state = 'filed') = (decided_by IS NULL)),
        CONSTRAINT fee_withdrawals_decided_at CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
        CONSTRAINT fee_withdrawals_two_persons CHECK (state <> 'approved' OR decided_by <> filed_by)
    )
    """,
    "CREATE INDEX fee_withdrawals_listed ON fee_withdrawals (filed_at, id)",
    """
    CREATE TRIGGER fee_withdrawals_bound BEFORE UPDATE ON fee_withdrawals FOR EACH ROW
    WHEN ((OLD.id, OLD.source, OLD.asset, OLD.amount, OLD.reference, OLD.filed_by, OLD.filed_at)
          IS DISTINCT FROM (NEW.id, NEW.source, NEW.asset, NEW.amount, NEW.reference, NEW.filed_by, NEW.filed_at))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
    """
    CREATE TRIGGER fee_withdrawals_kept BEFORE DELETE OR TRUNCATE ON fee_withdrawals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

# Accounts of fees keep no balance that could be bounded, since everybody pays into them: whoever takes out of them waits
# for each other, and the sum is looked at afterwards. Points never leave, whatever edge would lead them out.
GUARD = (
    """
    CREATE FUNCTION ledger_fees_reach() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE taken record;
    BEGIN
        FOR taken IN
            SELECT DISTINCT p.debit_account AS account, p.asset FROM posted p
            WHERE p.type IN ('fee_withdrawn', 'entry_fee_withdrawn') ORDER BY 1
        LOOP
            PERFORM pg_advisory_xact_lock(hashtextextended(CAST(taken.account AS text), 0));
            IF (SELECT b.balance < 0 FROM ledger_balances b WHERE b.id = taken.account) THEN
                RAISE EXCEPTION 'more fees in % would leave than there are', taken.asset
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_fees_reach';
            END IF;
            IF NOT (SELECT a.redeemable FROM assets a WHERE a.code = taken.asset) THEN
                RAISE EXCEPTION '% is not redeemable and cannot leave', taken.asset
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_fees_redeemable';
            END IF;
        END LOOP;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER ledger_transfers_fees AFTER INSERT ON ledger_transfers
    REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION ledger_fees_reach()
    """,
)


def upgrade() -> None:
    for type_, debit, credit, which in (line.split() for line in EDGES.strip().splitlines()):
        redeemable = "true" if which == "redeemable" else "false"
        op.execute(f"INSERT INTO ledger_edges VALUES ('{type_}', '{debit}', '{credit}', {redeemable})")  # noqa: S608 - our own words
    for statement in (*TABLE, *GUARD):
        op.execute(statement)
    guard_transitions(op, table="fee_withdrawals", allowed=WITHDRAWAL_STATES, start=["filed"])


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("ways that money has gone cannot be taken back by a migration")
