"""The first schema: the ledger with everything that the database itself refuses, and what stands around it.

Kinds, edges and transitions are literal copies of the domain's tables; a test compares them.
"""

from alembic import op

from prizewire_chassis.db.schema import append_only, create_chassis_schema_v1, guard_transitions, runtime_role

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KINDS = """
external_in none
external_out none
pool floor
reserved floor
wallet:winnings floor
wallet:topup floor
wallet:pending floor
payout_pending floor
fees none
entry_fee_escrow:winnings floor
entry_fee_escrow:topup floor
entry_fees none
funding floor
receivable ceiling
write_off none
treasury none
rail_fees none
fx none
suspense none
clearing none
"""

# type, debit kind, credit kind, and whether only redeemable assets may go this way
EDGES = """
campaign_funded external_in pool any
prize_reserved pool reserved any
prize_unclaimed reserved pool any
prize_pending reserved wallet:pending any
prize_credited reserved wallet:winnings any
prize_matured wallet:pending wallet:winnings any
platform_fee reserved fees any
organizer_fee reserved fees any
organizer_fee reserved wallet:winnings any
receivable_opened receivable clearing any
receivable_written_off write_off receivable any
entry_fee_held wallet:winnings entry_fee_escrow:winnings any
entry_fee_held wallet:topup entry_fee_escrow:topup any
entry_fee_refunded entry_fee_escrow:winnings wallet:winnings redeemable
entry_fee_refunded entry_fee_escrow:topup wallet:topup redeemable
entry_fee_earned entry_fee_escrow:winnings entry_fees any
entry_fee_earned entry_fee_escrow:topup entry_fees any
entry_fee_withdrawn entry_fees external_out any
payout_requested wallet:winnings payout_pending redeemable
payout_paid payout_pending treasury redeemable
payout_given_back payout_pending wallet:winnings redeemable
payout_returned treasury wallet:winnings redeemable
rail_fee rail_fees treasury redeemable
"""

CAMPAIGN_STATES = (
    ("draft", "active"),
    ("draft", "ended"),
    ("active", "paused"),
    ("active", "exhausted"),
    ("active", "ended"),
    ("paused", "active"),
    ("paused", "ended"),
    ("exhausted", "active"),
    ("exhausted", "paused"),
)
ROUND_STATES = (
    ("unfunded", "reserved"),
    ("unfunded", "final"),
    ("reserved", "final"),
)
REWARD_STATES = (
    ("unfunded", "pending"),
    ("unfunded", "credited"),
    ("pending", "credited"),
)
PAYOUT_STATES = (
    ("requested", "cancel_requested"),
    ("requested", "paid"),
    ("requested", "failed"),
    ("requested", "rejected"),
    ("requested", "cancelled"),
    ("cancel_requested", "paid"),
    ("cancel_requested", "failed"),
    ("cancel_requested", "rejected"),
    ("cancel_requested", "cancelled"),
    ("paid", "returned"),
)

LEDGER = (
    """
    CREATE TABLE ledger_kinds (
        kind text PRIMARY KEY,
        bound text NOT NULL CONSTRAINT ledger_kinds_bound CHECK (bound IN ('floor', 'ceiling', 'none')),
        UNIQUE (kind, bound)
    )
    """,
    """
    CREATE TABLE ledger_edges (
        type text NOT NULL,
        debit_kind text NOT NULL REFERENCES ledger_kinds (kind),
        credit_kind text NOT NULL REFERENCES ledger_kinds (kind),
        redeemable boolean NOT NULL,
        PRIMARY KEY (type, debit_kind, credit_kind)
    )
    """,
    # Room on each page lets a balance be rewritten in place, without touching an index.
    """
    CREATE TABLE ledger_accounts (
        id uuid PRIMARY KEY,
        kind text NOT NULL,
        owner text NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        bound text NOT NULL,
        balance bigint,
        opened_at timestamptz NOT NULL,
        FOREIGN KEY (kind, bound) REFERENCES ledger_kinds (kind, bound),
        UNIQUE (kind, owner, asset),
        CONSTRAINT ledger_accounts_kept CHECK ((bound = 'none') = (balance IS NULL)),
        CONSTRAINT ledger_accounts_floor CHECK (bound <> 'floor' OR balance >= 0),
        CONSTRAINT ledger_accounts_ceiling CHECK (bound <> 'ceiling' OR balance <= 0)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE ledger_transfers (
        id uuid PRIMARY KEY,
        seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        group_id uuid NOT NULL,
        type text NOT NULL,
        debit_account uuid NOT NULL,
        debit_kind text NOT NULL,
        credit_account uuid NOT NULL,
        credit_kind text NOT NULL,
        asset text NOT NULL,
        amount bigint NOT NULL CONSTRAINT ledger_transfers_amount CHECK (amount > 0),
        cause text NOT NULL,
        correlation_id text NOT NULL,
        at timestamptz NOT NULL,
        CONSTRAINT ledger_transfers_edge FOREIGN KEY (type, debit_kind, credit_kind)
            REFERENCES ledger_edges (type, debit_kind, credit_kind),
        CONSTRAINT ledger_transfers_two_legs CHECK (debit_account <> credit_account)
    )
    """,
    "CREATE INDEX ledger_transfers_correlation ON ledger_transfers (correlation_id)",
    """
    CREATE INDEX ledger_transfers_wallet_credits ON ledger_transfers (credit_account, seq)
    WHERE credit_kind LIKE 'wallet:%'
    """,
    """
    CREATE INDEX ledger_transfers_wallet_debits ON ledger_transfers (debit_account, seq)
    WHERE debit_kind LIKE 'wallet:%'
    """,
    # What unbounded accounts were moved by, one row for each statement, until it is rolled up.
    """
    CREATE TABLE ledger_deltas (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account uuid NOT NULL,
        delta bigint NOT NULL
    )
    """,
    """
    CREATE TABLE ledger_rollups (
        account uuid PRIMARY KEY REFERENCES ledger_accounts (id),
        balance bigint NOT NULL
    )
    """,
    """
    CREATE VIEW ledger_balances AS
    SELECT a.id, a.kind, a.owner, a.asset, coalesce(
        a.balance,
        coalesce((SELECT r.balance FROM ledger_rollups r WHERE r.account = a.id), 0)
            + coalesce((SELECT sum(d.delta) FROM ledger_deltas d WHERE d.account = a.id), 0)
    )::bigint AS balance
    FROM ledger_accounts a
    """,
)

# An account begins at nothing: money comes only by transfers.
OPENING = """
CREATE FUNCTION ledger_check_opening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM opened WHERE balance <> 0) THEN
        RAISE EXCEPTION 'an account begins with nothing'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_accounts_opening';
    END IF;
    RETURN NULL;
END $$
"""

# Inserting transfers is what moves balances: whoever writes a transfer cannot leave the balance behind, and
# whoever would pass a bound cannot write the transfer. Each account that was touched is found once to lock it, in
# the order of ids, and once to move it; only if one is not found as its transfers name it (kind, asset) does anybody
# ask which. Loops over index look-ups are asked for, since a plan that was made when the tables were small would stay
# in use. All of it costs the same few statements for any number of rows.
APPLY = """
CREATE FUNCTION ledger_apply() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE wrong record; complete boolean;
BEGIN
    SELECT p.type, p.asset INTO wrong
    FROM (SELECT DISTINCT type, debit_kind, credit_kind, asset FROM posted) p
    JOIN ledger_edges e ON e.type = p.type AND e.debit_kind = p.debit_kind AND e.credit_kind = p.credit_kind
    LEFT JOIN assets a ON a.code = p.asset
    WHERE e.redeemable AND a.redeemable IS NOT TRUE LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is not redeemable and cannot go by %', wrong.asset, wrong.type
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_transfers_redeemable';
    END IF;
    PERFORM 1 FROM ledger_accounts
    WHERE balance IS NOT NULL AND id = ANY (ARRAY(
        SELECT debit_account FROM posted UNION SELECT credit_account FROM posted
    )) ORDER BY id FOR UPDATE;
    WITH leg AS MATERIALIZED (
        SELECT l.account, l.kind, l.asset, sum(l.delta)::bigint AS delta FROM (
            SELECT debit_account AS account, debit_kind AS kind, asset, -amount AS delta FROM posted
            UNION ALL SELECT credit_account, credit_kind, asset, amount FROM posted
        ) l GROUP BY l.account, l.kind, l.asset
    ), moved AS (
        UPDATE ledger_accounts a SET balance = a.balance + l.delta FROM leg l
        WHERE a.id = l.account AND a.kind = l.kind AND a.asset = l.asset AND a.balance IS NOT NULL
        AND l.delta <> 0 RETURNING 1
    ), still AS (
        SELECT 1 FROM leg l JOIN ledger_accounts a ON a.id = l.account AND a.kind = l.kind AND a.asset = l.asset
        WHERE l.delta = 0
    ), appended AS (
        INSERT INTO ledger_deltas (account, delta)
        SELECT l.account, l.delta FROM leg l JOIN ledger_kinds k ON k.kind = l.kind AND k.bound = 'none'
        JOIN ledger_accounts a ON a.id = l.account AND a.kind = l.kind AND a.asset = l.asset
        WHERE l.delta <> 0 RETURNING 1
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

# The service may not change an account, so it may not lock one either but through this.
LOCK = """
CREATE FUNCTION ledger_lock(accounts uuid[]) RETURNS TABLE (id uuid, balance bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
    SELECT a.id, a.balance FROM ledger_accounts a WHERE a.id = ANY (accounts) ORDER BY a.id FOR UPDATE
$$
"""

ROLL_UP = """
CREATE FUNCTION ledger_roll_up(rows_max integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
    WITH taken AS (
        DELETE FROM ledger_deltas WHERE id IN (
            SELECT id FROM ledger_deltas ORDER BY id LIMIT rows_max FOR UPDATE SKIP LOCKED
        ) RETURNING account, delta
    ), folded AS (
        INSERT INTO ledger_rollups AS r (account, balance)
        SELECT account, sum(delta)::bigint FROM taken GROUP BY account ORDER BY account
        ON CONFLICT (account) DO UPDATE SET balance = r.balance + excluded.balance
    )
    SELECT count(*) FROM taken
$$
"""

REST = (
    """
    CREATE TABLE campaigns (
        id uuid PRIMARY KEY,
        name text NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        delivery text NOT NULL CONSTRAINT campaigns_delivery CHECK (delivery IN ('wallet', 'direct')),
        state text NOT NULL,
        funded bigint NOT NULL,
        granted bigint NOT NULL,
        queued integer NOT NULL CONSTRAINT campaigns_queued CHECK (queued >= 0),
        queue_tail bigint NOT NULL,
        version integer NOT NULL,
        pool uuid NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT campaigns_granted CHECK (granted BETWEEN 0 AND funded)
    ) WITH (fillfactor = 50)
    """,
    "CREATE INDEX campaigns_waiting ON campaigns (id) WHERE queued > 0",
    """
    CREATE TABLE rounds (
        id uuid PRIMARY KEY,
        match_id text NOT NULL,
        match_source text NOT NULL,
        competition text NOT NULL,
        correlation_id text NOT NULL,
        settlement_version integer NOT NULL,
        rule_version integer NOT NULL,
        campaign uuid NOT NULL REFERENCES campaigns (id),
        asset text NOT NULL,
        gross bigint NOT NULL,
        platform_fee bigint NOT NULL,
        organizer_fee bigint NOT NULL,
        organizer_player text,
        net bigint NOT NULL,
        unclaimed bigint NOT NULL,
        parts integer NOT NULL,
        lines_total integer NOT NULL,
        digest text NOT NULL,
        final boolean NOT NULL,
        final_at timestamptz NOT NULL,
        state text NOT NULL,
        queue_position bigint,
        version integer NOT NULL,
        settled_at timestamptz NOT NULL,
        CONSTRAINT rounds_queued CHECK ((state = 'unfunded') = (queue_position IS NOT NULL))
    )
    """,
    "CREATE INDEX rounds_correlation ON rounds (correlation_id)",
    "CREATE INDEX rounds_campaign ON rounds (campaign, state)",
    "CREATE UNIQUE INDEX rounds_waiting ON rounds (campaign, queue_position) WHERE queue_position IS NOT NULL",
    """
    CREATE TABLE rewards (
        id uuid PRIMARY KEY,
        round_id uuid NOT NULL,
        part integer NOT NULL,
        line integer NOT NULL,
        player text NOT NULL,
        place integer NOT NULL,
        asset text NOT NULL,
        amount bigint NOT NULL CONSTRAINT rewards_amount CHECK (amount > 0),
        state text NOT NULL CONSTRAINT rewards_state CHECK (state IN ('unfunded', 'pending', 'credited')),
        transfer_id uuid,
        note text,
        payout_id uuid,
        CONSTRAINT rewards_moved CHECK ((state = 'unfunded') = (transfer_id IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX rewards_round ON rewards (round_id, line)",
    "CREATE INDEX rewards_player ON rewards (player)",
    "CREATE UNIQUE INDEX rewards_payout ON rewards (payout_id) WHERE payout_id IS NOT NULL",
    """
    CREATE TABLE round_parts (
        round_id uuid NOT NULL,
        part integer NOT NULL,
        head jsonb NOT NULL,
        lines jsonb NOT NULL,
        staged_at timestamptz NOT NULL,
        PRIMARY KEY (round_id, part)
    )
    """,
    """
    CREATE TABLE payouts (
        id uuid PRIMARY KEY,
        player text NOT NULL,
        campaign uuid REFERENCES campaigns (id),
        round_id uuid,
        asset text NOT NULL REFERENCES assets (code),
        amount bigint NOT NULL CONSTRAINT payouts_amount CHECK (amount > 0),
        correlation_id text NOT NULL,
        state text NOT NULL,
        filed_by text NOT NULL,
        method_id uuid NOT NULL,
        method_version integer NOT NULL,
        rail_types text[] NOT NULL,
        intent jsonb NOT NULL,
        intent_signature text NOT NULL,
        rail text,
        returned bigint NOT NULL,
        outcome jsonb,
        version integer NOT NULL,
        requested_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        CONSTRAINT payouts_returned CHECK (returned BETWEEN 0 AND amount)
    )
    """,
    "CREATE INDEX payouts_player ON payouts (player, requested_at)",
    "CREATE INDEX payouts_correlation ON payouts (correlation_id)",
    "CREATE INDEX payouts_campaign ON payouts (campaign, state) WHERE campaign IS NOT NULL",
    """
    CREATE TABLE payout_methods (
        id uuid PRIMARY KEY,
        version integer NOT NULL,
        player text NOT NULL,
        type text NOT NULL,
        rail_type text NOT NULL,
        active boolean NOT NULL,
        verified boolean NOT NULL,
        is_default boolean NOT NULL,
        address text,
        memo text,
        commitment text,
        changed_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX payout_methods_default ON payout_methods (player) WHERE is_default AND active",
    """
    CREATE TABLE transitions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        machine text NOT NULL,
        subject uuid NOT NULL,
        from_state text NOT NULL,
        to_state text NOT NULL,
        cause text NOT NULL,
        correlation_id text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX transitions_subject ON transitions (subject, id)",
)

REWARD_GUARD = (
    "CREATE TABLE rewards_state_edges (from_state text, to_state text, PRIMARY KEY (from_state, to_state))",
    # Only changes are guarded row by row: prizes are born by the thousand, in a state that a CHECK has seen.
    """
    CREATE FUNCTION rewards_state_check() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT EXISTS (
            SELECT 1 FROM rewards_state_edges WHERE from_state = OLD.state AND to_state = NEW.state
        ) THEN
            RAISE EXCEPTION 'rewards: % -> % is not allowed', OLD.state, NEW.state
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER rewards_state_guard BEFORE UPDATE OF state ON rewards FOR EACH ROW
    WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION rewards_state_check()
    """,
)


def upgrade() -> None:
    create_chassis_schema_v1(op)
    for statement in LEDGER:
        op.execute(statement)
    for kind, bound in (line.split() for line in KINDS.strip().splitlines()):
        op.execute(f"INSERT INTO ledger_kinds VALUES ('{kind}', '{bound}')")  # noqa: S608 - our own words
    for type_, debit, credit, which in (line.split() for line in EDGES.strip().splitlines()):
        redeemable = "true" if which == "redeemable" else "false"
        op.execute(f"INSERT INTO ledger_edges VALUES ('{type_}', '{debit}', '{credit}', {redeemable})")  # noqa: S608 - our own words
    for statement in (OPENING, APPLY, LOCK, ROLL_UP):
        op.execute(statement)
    op.execute(
        "CREATE TRIGGER ledger_accounts_opening AFTER INSERT ON ledger_accounts "
        "REFERENCING NEW TABLE AS opened FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_opening()"
    )
    op.execute(
        "CREATE TRIGGER ledger_transfers_apply AFTER INSERT ON ledger_transfers "
        "REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply()"
    )
    for statement in REST:
        op.execute(statement)
    for table in ("ledger_transfers", "ledger_kinds", "ledger_edges", "transitions"):
        append_only(op, table)
    guard_transitions(op, table="campaigns", allowed=CAMPAIGN_STATES, start=["draft"])
    guard_transitions(op, table="rounds", allowed=ROUND_STATES, start=["unfunded", "reserved", "final"])
    guard_transitions(op, table="payouts", allowed=PAYOUT_STATES, start=["requested"])
    for statement in REWARD_GUARD:
        op.execute(statement)
    for was, to in REWARD_STATES:
        op.execute(f"INSERT INTO rewards_state_edges VALUES ('{was}', '{to}')")  # noqa: S608 - our own words
    _take_privileges()


def _take_privileges() -> None:
    """Leave the service what it needs: it appends transfers, and everything else follows from those."""
    for name in ("ledger_lock(uuid[])", "ledger_roll_up(integer)"):
        op.execute(f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")
    role = runtime_role(op)
    if role is None:
        return
    for name in ("ledger_lock(uuid[])", "ledger_roll_up(integer)"):
        op.execute(f'GRANT EXECUTE ON FUNCTION {name} TO "{role}"')
    op.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON ledger_accounts FROM "{role}"')
    for table in ("ledger_kinds", "ledger_edges", "ledger_deltas", "ledger_rollups", "rewards_state_edges"):
        op.execute(f'REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {table} FROM "{role}"')


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("the first schema cannot be taken back")
