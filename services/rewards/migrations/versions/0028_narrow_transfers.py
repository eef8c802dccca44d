"""What a group's transfers have in common stands once, and each posting is checked and applied in one pass.

A group is the transfers of one cause in one transaction. Its cause and correlation id stood in each of them before.
"""

from alembic import op

from prizewire_chassis.db.schema import append_only

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

GROUPS = (
    """
    CREATE TABLE ledger_groups (
        no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        cause text NOT NULL,
        correlation_id text NOT NULL
    )
    """,
    "CREATE INDEX ledger_groups_correlation ON ledger_groups (correlation_id)",
)

# Written whole, because a dropped column would cost each later row some bytes. ``ledger_apply`` checks the edges.
TRANSFERS = (
    "-- squawk-ignore renaming-table\nALTER TABLE ledger_transfers RENAME TO ledger_transfers_wide",
    "-- squawk-ignore renaming-object\nALTER SEQUENCE ledger_transfers_seq_seq RENAME TO ledger_transfers_wide_seq",
    """
    CREATE TABLE ledger_transfers (
        seq bigint GENERATED ALWAYS AS IDENTITY,
        group_no bigint NOT NULL,
        amount bigint NOT NULL CONSTRAINT ledger_transfers_amount CHECK (amount > 0),
        at timestamptz NOT NULL,
        id uuid NOT NULL,
        debit_account uuid NOT NULL,
        credit_account uuid NOT NULL,
        type text NOT NULL,
        debit_kind text NOT NULL,
        credit_kind text NOT NULL,
        asset text NOT NULL,
        CONSTRAINT ledger_transfers_two_legs CHECK (debit_account <> credit_account)
    )
    """,
    """
    WITH found AS MATERIALIZED (
        SELECT cause, correlation_id, at, row_number() OVER (ORDER BY min(seq)) AS n FROM ledger_transfers_wide
        GROUP BY cause, correlation_id, at
    ), made AS (
        INSERT INTO ledger_groups (cause, correlation_id) SELECT cause, correlation_id FROM found ORDER BY n RETURNING no
    ), numbered AS (
        SELECT no, row_number() OVER (ORDER BY no) AS n FROM made
    )
    INSERT INTO ledger_transfers (seq, group_no, amount, at, id, debit_account, credit_account, type, debit_kind,
        credit_kind, asset) OVERRIDING SYSTEM VALUE
    SELECT t.seq, m.no, t.amount, t.at, t.id, t.debit_account, t.credit_account, t.type, t.debit_kind, t.credit_kind, t.asset
    FROM ledger_transfers_wide t
    JOIN found f ON (f.cause, f.correlation_id, f.at) = (t.cause, t.correlation_id, t.at)
    JOIN numbered m ON m.n = f.n ORDER BY t.seq
    """,
    """
    SELECT setval(pg_get_serial_sequence('ledger_transfers', 'seq'), max(seq)) FROM ledger_transfers
    HAVING max(seq) IS NOT NULL
    """,
    "-- squawk-ignore ban-drop-table\nDROP TABLE ledger_transfers_wide",
    (
        "-- squawk-ignore constraint-missing-not-valid, adding-serial-primary-key-field\n"
        "ALTER TABLE ledger_transfers ADD CONSTRAINT ledger_transfers_pkey PRIMARY KEY (id)"
    ),
    (
        "-- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint\n"
        "ALTER TABLE ledger_transfers ADD CONSTRAINT ledger_transfers_seq_key UNIQUE (seq)"
    ),
    "CREATE INDEX ledger_transfers_group ON ledger_transfers (group_no)",
    """
    CREATE INDEX ledger_transfers_wallet_credits ON ledger_transfers (credit_account, at, seq)
    WHERE credit_kind LIKE 'wallet:%'
    """,
    """
    CREATE INDEX ledger_transfers_wallet_debits ON ledger_transfers (debit_account, at, seq)
    WHERE debit_kind LIKE 'wallet:%'
    """,
    """
    CREATE INDEX ledger_transfers_documented ON ledger_transfers (id) WHERE debit_kind IN (
        'external_in', 'pool', 'treasury', 'payout_pending', 'entry_fee_escrow:winnings', 'entry_fee_escrow:topup')
    """,
    # A transfer whose group is missing is shown all the same, so that the invariants find it.
    """
    CREATE VIEW ledger_journal AS
    SELECT t.*, g.cause, g.correlation_id FROM ledger_transfers t LEFT JOIN ledger_groups g ON g.no = t.group_no
    """,
)
# Triggers run in the order of their names.
TRIGGERS = {
    "ledger_transfers_a_limit": "ledger_limit",
    "ledger_transfers_apply": "ledger_apply",
    "ledger_transfers_campaigns": "campaigns_count_funds",
    "ledger_transfers_fees": "ledger_fees_reach",
}

# Inserting transfers moves the balances: a transfer without its effect, or an effect without its transfer, is impossible.
# Each account is found once: bounded ones are locked by their update, in the order of their ids; those that end where they
# began are only locked. If an account is not found as its transfers name it (kind, asset), the error names the transfer.
# Plans with loops over indexes are forced, because a plan that was made when the tables were small would stay in use. The
# number of statements is the same for any number of transfers.
APPLY = """
CREATE OR REPLACE FUNCTION ledger_apply() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE wrong record; complete boolean; unbounded text[];
BEGIN
    SELECT p.type, p.debit_kind, p.credit_kind, p.asset, e.type IS NULL AS unknown INTO wrong
    FROM (SELECT DISTINCT type, debit_kind, credit_kind, asset FROM posted) p
    LEFT JOIN ledger_edges e ON e.type = p.type AND e.debit_kind = p.debit_kind AND e.credit_kind = p.credit_kind
    LEFT JOIN assets a ON a.code = p.asset
    WHERE e.type IS NULL OR (e.redeemable AND a.redeemable IS NOT TRUE) LIMIT 1;
    IF FOUND AND wrong.unknown THEN
        RAISE EXCEPTION 'a transfer of type % from % to % is not allowed', wrong.type, wrong.debit_kind, wrong.credit_kind
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_transfers_edge';
    ELSIF FOUND THEN
        RAISE EXCEPTION '% is not redeemable and cannot go by %', wrong.asset, wrong.type
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_transfers_redeemable';
    END IF;
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT group_no FROM posted) p
        WHERE NOT EXISTS (SELECT 1 FROM ledger_groups g WHERE g.no = p.group_no)
    ) THEN
        RAISE EXCEPTION 'a transfer names a group that does not exist'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_transfers_group';
    END IF;
    unbounded := ARRAY(SELECT kind FROM ledger_kinds WHERE bound = 'none');
    WITH leg AS MATERIALIZED (
        SELECT l.account, l.kind, l.asset, sum(l.delta)::bigint AS delta FROM (
            SELECT debit_account AS account, debit_kind AS kind, asset, -amount AS delta FROM posted
            UNION ALL SELECT credit_account, credit_kind, asset, amount FROM posted
        ) l GROUP BY l.account, l.kind, l.asset ORDER BY l.account
    ), moved AS (
        UPDATE ledger_accounts a SET balance = a.balance + l.delta FROM leg l
        WHERE a.id = l.account AND a.kind = l.kind AND a.asset = l.asset AND a.balance IS NOT NULL
        AND l.delta <> 0 RETURNING 1
    ), still AS (
        SELECT 1 FROM leg l JOIN ledger_accounts a ON a.id = l.account AND a.kind = l.kind AND a.asset = l.asset
        WHERE l.delta = 0 FOR UPDATE OF a
    ), appended AS (
        INSERT INTO ledger_deltas (account, delta)
        SELECT l.account, l.delta FROM leg l
        JOIN ledger_accounts a ON a.id = l.account AND a.kind = l.kind AND a.asset = l.asset
        WHERE l.kind = ANY (unbounded) AND l.delta <> 0 RETURNING 1
    )
    SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM still) + (SELECT count(*) FROM appended)
        = (SELECT count(*) FROM leg) INTO complete;
    IF NOT complete THEN
        SELECT p.id INTO wrong FROM posted p
        LEFT JOIN ledger_accounts d ON d.id = p.debit_account AND d.kind = p.debit_kind AND d.asset = p.asset
        LEFT JOIN ledger_accounts c ON c.id = p.credit_account AND c.kind = p.credit_kind AND c.asset = p.asset
        WHERE d.id IS NULL OR c.id IS NULL LIMIT 1;
        RAISE EXCEPTION 'transfer %: an account is not open in this kind and asset', wrong.id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_transfers_accounts';
    END IF;
    RETURN NULL;
END $$
"""

# As 0019 has it, but that only transfers of unbounded accounts are summed.
LIMIT = """
CREATE OR REPLACE FUNCTION ledger_limit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE most CONSTANT numeric := 4611686018427387904; one record; came_in numeric; unbounded text[];
BEGIN
    FOR one IN
        SELECT p.asset, sum(p.amount) AS amount FROM posted p WHERE p.debit_kind = 'external_in'
        GROUP BY p.asset ORDER BY p.asset
    LOOP
        PERFORM pg_advisory_xact_lock(hashtext('prizewire.intake'), hashtext(one.asset));
        SELECT coalesce(-sum(b.balance), 0) INTO came_in FROM ledger_balances b
        WHERE b.kind = 'external_in' AND b.asset = one.asset;
        IF came_in + one.amount > most THEN
            RAISE EXCEPTION '% minor units of % came in, % more would pass the limit', came_in, one.asset, one.amount
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_intake_limit';
        END IF;
    END LOOP;
    unbounded := ARRAY(SELECT kind FROM ledger_kinds WHERE bound = 'none');
    SELECT l.account, l.asset INTO one FROM (
        SELECT debit_account AS account, asset, -amount AS delta FROM posted WHERE debit_kind = ANY (unbounded)
        UNION ALL SELECT credit_account, asset, amount FROM posted WHERE credit_kind = ANY (unbounded)
    ) l LEFT JOIN ledger_rollups r ON r.account = l.account
    GROUP BY l.account, l.asset, r.balance HAVING abs(coalesce(r.balance, 0) + sum(l.delta)) > most LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % in % would pass % minor units', one.account, one.asset, most
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_accounts_limit';
    END IF;
    RETURN NULL;
END $$
"""

# As 0022 has it, but that the cause and the correlation id are those of the group.
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
        SELECT p.id, p.type, p.amount, g.correlation_id, g.cause, p.credit_account, p.credit_kind,
               CASE WHEN pg_input_is_valid(split_part(g.cause, '/', 2), 'uuid')
                    THEN CAST(split_part(g.cause, '/', 2) AS uuid) END AS named
        FROM posted p JOIN ledger_groups g ON g.no = p.group_no
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
                SELECT 1 FROM ledger_journal o WHERE o.correlation_id = taken.correlation_id AND o.type = taken.type
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
    for statement in (*GROUPS, *TRANSFERS, APPLY, LIMIT, FEES_REACH):
        op.execute(statement)
    for name, function in TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER {name} AFTER INSERT ON ledger_transfers "
            f"REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
    for table in ("ledger_groups", "ledger_transfers"):
        append_only(op, table)


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("groups of transfers cannot be taken back by a migration")
