"""Entries and the rounds they are for, top-ups and what reversed them, funding accounts, automatic withdrawals; payouts
that bear a fee, and payouts without a player.
"""

from alembic import op

from prizewire_chassis.db.schema import guard_transitions, runtime_role

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ENTRY_STATES = (
    ("refused", "paid"),
    ("paid", "earned"),
    ("paid", "refunded"),
    ("paid", "closed"),
)

TABLES = (
    """
    CREATE TABLE entry_rounds (
        id uuid PRIMARY KEY,
        match_id text NOT NULL,
        match_source text NOT NULL,
        competition text NOT NULL,
        correlation_id text NOT NULL,
        asset text REFERENCES assets (code),
        fee bigint CONSTRAINT entry_rounds_fee CHECK (fee > 0),
        open boolean NOT NULL,
        ended_as text CONSTRAINT entry_rounds_ended CHECK (ended_as IN ('earned', 'refunded')),
        closing boolean NOT NULL,
        known_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        CONSTRAINT entry_rounds_terms CHECK ((asset IS NULL) = (fee IS NULL)),
        CONSTRAINT entry_rounds_over CHECK (NOT (open AND ended_as IS NOT NULL)),
        CONSTRAINT entry_rounds_closing CHECK (NOT closing OR ended_as IS NOT NULL)
    )
    """,
    "CREATE INDEX entry_rounds_closing_next ON entry_rounds (id) WHERE closing",
    """
    CREATE TABLE entries (
        id uuid PRIMARY KEY,
        round_id uuid NOT NULL,
        match_id text NOT NULL,
        match_source text NOT NULL,
        player text NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        amount bigint NOT NULL CONSTRAINT entries_amount CHECK (amount > 0),
        from_topup bigint NOT NULL CONSTRAINT entries_from_topup CHECK (from_topup >= 0),
        from_winnings bigint NOT NULL CONSTRAINT entries_from_winnings CHECK (from_winnings >= 0),
        state text NOT NULL,
        code text,
        correlation_id text NOT NULL,
        version integer NOT NULL,
        entered_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        CONSTRAINT entries_split CHECK (
            from_topup + from_winnings = CASE WHEN state = 'refused' THEN 0 ELSE amount END
        )
    )
    """,
    "CREATE UNIQUE INDEX entries_round ON entries (round_id, player)",
    "CREATE INDEX entries_paid ON entries (round_id, id) WHERE state = 'paid'",
    "CREATE INDEX entries_player ON entries (player, id)",
    "CREATE INDEX entries_correlation ON entries (correlation_id)",
    """
    CREATE TABLE topups (
        id uuid PRIMARY KEY,
        player text NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        credited bigint NOT NULL CONSTRAINT topups_credited CHECK (credited > 0),
        reversed bigint NOT NULL,
        rail text NOT NULL,
        reference text NOT NULL,
        correlation_id text NOT NULL,
        version integer NOT NULL,
        credited_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        CONSTRAINT topups_reversed CHECK (reversed BETWEEN 0 AND credited)
    )
    """,
    "CREATE INDEX topups_player ON topups (player, credited_at)",
    "CREATE INDEX topups_correlation ON topups (correlation_id)",
    """
    CREATE TABLE topup_reversals (
        rail text NOT NULL,
        reference text NOT NULL,
        topup_id uuid NOT NULL REFERENCES topups (id),
        kind text NOT NULL CONSTRAINT topup_reversals_kind CHECK (kind IN ('refund', 'dispute')),
        asked bigint NOT NULL CONSTRAINT topup_reversals_asked CHECK (asked > 0),
        taken bigint NOT NULL CONSTRAINT topup_reversals_taken CHECK (taken >= 0),
        owed bigint NOT NULL CONSTRAINT topup_reversals_owed CHECK (owed >= 0),
        receivable_id uuid,
        restored bigint NOT NULL,
        lifted bigint NOT NULL,
        won boolean NOT NULL,
        reversed_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (rail, reference),
        CONSTRAINT topup_reversals_booked CHECK (taken + owed <= asked),
        CONSTRAINT topup_reversals_receivable CHECK ((owed > 0) = (receivable_id IS NOT NULL)),
        CONSTRAINT topup_reversals_restored CHECK (restored BETWEEN 0 AND taken + owed),
        CONSTRAINT topup_reversals_lifted CHECK (lifted BETWEEN 0 AND least(restored, owed)),
        CONSTRAINT topup_reversals_won CHECK (won OR restored = 0),
        CONSTRAINT topup_reversals_disputed CHECK (kind = 'dispute' OR NOT won)
    )
    """,
    "CREATE INDEX topup_reversals_topup ON topup_reversals (topup_id)",
    """
    CREATE TABLE funding_accounts (
        name text PRIMARY KEY,
        asset text NOT NULL REFERENCES assets (code),
        created_by text NOT NULL,
        created_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE auto_withdrawals (
        player text NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        threshold bigint CONSTRAINT auto_withdrawals_threshold CHECK (threshold > 0),
        schedule text CONSTRAINT auto_withdrawals_schedule CHECK (schedule IN ('daily', 'weekly', 'monthly')),
        hour_utc integer NOT NULL CONSTRAINT auto_withdrawals_hour CHECK (hour_utc BETWEEN 0 AND 23),
        minimum bigint NOT NULL CONSTRAINT auto_withdrawals_minimum CHECK (minimum >= 0),
        method_id uuid,
        next_at timestamptz NOT NULL,
        attempts bigint NOT NULL,
        note text,
        noted_at timestamptz,
        last_payout uuid,
        wallet uuid NOT NULL,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (player, asset),
        CONSTRAINT auto_withdrawals_one_way CHECK ((threshold IS NULL) <> (schedule IS NULL))
    )
    """,
    "CREATE INDEX auto_withdrawals_due ON auto_withdrawals (next_at)",
)

BOUND = {
    "entries": "id round_id match_id match_source player asset amount correlation_id entered_at",
    "topups": "id player asset credited rail reference correlation_id credited_at",
    "topup_reversals": "rail reference topup_id kind asked taken owed receivable_id reversed_at",
    "funding_accounts": "name asset created_by created_at",
    # as 0002 has it, with what is new
    "payouts": "id player campaign round_id asset amount correlation_id filed_by method_id method_version rail_types "
    "requested_at funding_account fee",
}
FORWARD = {
    "entries": "NEW.version < OLD.version OR (OLD.state <> 'refused' AND "
    "(NEW.from_topup, NEW.from_winnings) IS DISTINCT FROM (OLD.from_topup, OLD.from_winnings))",
    "entry_rounds": "OLD.ended_as IS NOT NULL AND NEW.ended_as IS DISTINCT FROM OLD.ended_as "
    "OR OLD.asset IS NOT NULL AND (NEW.asset, NEW.fee) IS DISTINCT FROM (OLD.asset, OLD.fee)",
    "topups": "NEW.version < OLD.version",
    "topup_reversals": "OLD.won AND (NEW.won, NEW.restored, NEW.lifted) IS DISTINCT FROM "
    "(OLD.won, OLD.restored, OLD.lifted)",
}
KEPT = ("entries", "entry_rounds", "topups", "topup_reversals", "funding_accounts")

# A row names what it is by its key, and not every table's key is an id.
REFUSE = """
CREATE FUNCTION refuse_rebinding_row() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%: what it is bound to does not change, and its counters only grow', TG_TABLE_NAME
        USING ERRCODE = 'check_violation';
END $$
"""

PAYOUTS = (
    # payouts_source below says which payouts have none of them
    *(
        f"-- squawk-ignore ban-drop-not-null\nALTER TABLE payouts ALTER COLUMN {name} DROP NOT NULL"
        for name in ("player", "method_id", "method_version")
    ),
    "ALTER TABLE payouts ADD COLUMN funding_account text",
    "ALTER TABLE payouts ADD COLUMN fee bigint NOT NULL DEFAULT 0",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_funding FOREIGN KEY (funding_account)
    REFERENCES funding_accounts (name) NOT VALID
    """,
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_source CHECK (
        (player IS NULL) = (funding_account IS NOT NULL) AND (player IS NULL) = (method_id IS NULL)
        AND (player IS NULL) = (method_version IS NULL)
    ) NOT VALID
    """,
    "ALTER TABLE payouts ADD CONSTRAINT payouts_fee CHECK (fee >= 0 AND fee < amount) NOT VALID",
    "ALTER TABLE payouts ADD CONSTRAINT payouts_returned_paid CHECK (returned <= amount - fee) NOT VALID",
    "CREATE INDEX payouts_by_funding ON payouts (funding_account, state) WHERE funding_account IS NOT NULL",
    "DROP TRIGGER payouts_bound ON payouts",
)


def upgrade() -> None:
    for statement in (*TABLES, REFUSE, *PAYOUTS):
        op.execute(statement)
    guard_transitions(op, table="entries", allowed=ENTRY_STATES, start=["paid", "refused"])
    for table, columns in BOUND.items():
        names = columns.split()
        was, becomes = (", ".join(f"{row}.{name}" for name in names) for row in ("OLD", "NEW"))
        op.execute(
            f"CREATE TRIGGER {table}_bound BEFORE UPDATE OF {', '.join(names)} ON {table} FOR EACH ROW "
            f"WHEN (({was}) IS DISTINCT FROM ({becomes})) EXECUTE FUNCTION refuse_rebinding_row()"
        )
    for table, backward in FORWARD.items():
        op.execute(
            f"CREATE TRIGGER {table}_forward BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN ({backward}) EXECUTE FUNCTION refuse_rebinding_row()"
        )
    for table in KEPT:
        op.execute(
            f"CREATE TRIGGER {table}_kept BEFORE DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE DELETE, TRUNCATE ON {", ".join(KEPT)} FROM "{role}"')


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("money that came in or went out cannot be taken back by a migration")
