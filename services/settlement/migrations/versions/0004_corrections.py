"""Corrections, voids, entries, and game servers that report over HTTP."""

from alembic import op

from prizewire_chassis.db.schema import append_only, fix_search_path, runtime_role

revision = "0004"
down_revision = "0003"

# What domain/states.py gained; a test holds all copies together equal to it.
EDGES = (
    ("NEW", "VOIDED", "the match was voided before anything else was heard of it"),
    ("SETTLED", "RESOLVED", "a corrected result superseded the one before"),
    ("FINALIZED", "RESOLVED", "an admin corrected the result after it was final"),
)

COLUMNS = (
    "ALTER TABLE competition_rules ADD COLUMN entry_asset text",
    "ALTER TABLE competition_rules ADD COLUMN entry_amount bigint",
    """
    ALTER TABLE competition_rules ADD CONSTRAINT competition_rules_entry_asset_fkey
    FOREIGN KEY (entry_asset) REFERENCES assets (code) NOT VALID
    """,
    """
    ALTER TABLE competition_rules ADD CONSTRAINT entry_fee_whole CHECK (
        (entry_asset IS NULL) = (entry_amount IS NULL) AND (entry_amount IS NULL OR entry_amount > 0)
    ) NOT VALID
    """,
    "ALTER TABLE rounds ADD COLUMN waiting_since timestamptz",
    "CREATE INDEX rounds_incomplete ON rounds (waiting_since, id) WHERE waiting_since IS NOT NULL",
    "ALTER TABLE round_transitions ADD COLUMN reason text",
    "ALTER TABLE round_results ADD COLUMN reason text",
    "ALTER TABLE round_results ADD COLUMN players integer NOT NULL DEFAULT 0",
    "ALTER TABLE settlements ADD COLUMN reason text",
    """
    ALTER TABLE settlements ADD CONSTRAINT corrections_have_a_reason
    CHECK (version = 1 OR reason IS NOT NULL) NOT VALID
    """,
    """
    CREATE TABLE entries (
        id uuid PRIMARY KEY,
        round_id uuid NOT NULL,
        player text NOT NULL,
        asset text NOT NULL,
        amount bigint NOT NULL,
        event_id text NOT NULL,
        entered_at timestamptz NOT NULL,
        CONSTRAINT entries_one_per_player UNIQUE (round_id, player),
        CONSTRAINT entry_costs_something CHECK (amount > 0)
    )
    """,
    """
    CREATE TABLE source_tokens (
        id uuid PRIMARY KEY,
        source text NOT NULL,
        digest bytea NOT NULL,
        label text NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        CONSTRAINT source_tokens_digest UNIQUE (digest)
    )
    """,
)

# As in the first migration, guards look at a whole statement's rows at once where many may come.
GUARDS = (
    # A step that leads out of FINALIZED is a person's, and says why.
    """
    CREATE OR REPLACE FUNCTION round_transitions_check() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    DECLARE bad record;
    BEGIN
        SELECT f.round_id, f.seq, f.from_state, f.to_state INTO bad FROM fresh f
        WHERE NOT EXISTS (
            SELECT 1 FROM round_transitions_allowed a
            WHERE a.from_state = f.from_state AND a.to_state = f.to_state
        ) OR f.from_state IS DISTINCT FROM CASE WHEN f.seq = 1 THEN 'NEW' ELSE (
            SELECT p.to_state FROM round_transitions p WHERE p.round_id = f.round_id AND p.seq = f.seq - 1
        ) END OR (f.from_state = 'FINALIZED' AND (f.cause <> 'admin.resolve' OR f.reason IS NULL))
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'round %: step % from % to % is not allowed',
                bad.round_id, bad.seq, bad.from_state, bad.to_state USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    # The result that stands is only replaced by a newer one, and finality keeps its moment.
    """
    CREATE OR REPLACE FUNCTION rounds_binding_check() RETURNS trigger LANGUAGE plpgsql
    AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM fresh f JOIN stale s USING (id)
            WHERE (f.source, f.match_id, f.competition_id, f.correlation_id, f.rule_version, f.created_at)
                IS DISTINCT FROM
                (s.source, s.match_id, s.competition_id, s.correlation_id, s.rule_version, s.created_at)
            OR f.version < s.version OR f.state_seq < s.state_seq OR f.settlement_version < s.settlement_version
            OR (s.result_version IS NOT NULL AND coalesce(f.result_version, 0) < s.result_version)
            OR (s.final_at IS NOT NULL AND f.final_at IS DISTINCT FROM s.final_at)
        ) OR (SELECT count(*) FROM fresh f JOIN stale s USING (id)) <> (SELECT count(*) FROM stale) THEN
            RAISE EXCEPTION 'what a round is bound to does not change, and its counters only grow'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    # Neither the result that stands changes, nor one that stood before.
    """
    CREATE OR REPLACE FUNCTION round_results_check() RETURNS trigger LANGUAGE plpgsql
    AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM rounds r WHERE r.id = OLD.round_id AND OLD.result_version <= r.result_version
            AND OLD IS DISTINCT FROM NEW
        ) THEN
            RAISE EXCEPTION 'round %: the result it was settled by does not change', OLD.round_id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    # A correction moves lines, and nothing that was agreed before.
    """
    CREATE FUNCTION settlements_check() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    DECLARE bad record;
    BEGIN
        SELECT f.round_id, f.version INTO bad FROM fresh f
        LEFT JOIN settlements p ON p.round_id = f.round_id AND p.version = f.version - 1
        WHERE f.version > 1 AND (
            p.rule_version, p.campaign, p.asset, p.gross, p.platform_fee, p.organizer_fee, p.organizer_player,
            p.net, p.final_at
        ) IS DISTINCT FROM (
            f.rule_version, f.campaign, f.asset, f.gross, f.platform_fee, f.organizer_fee, f.organizer_player,
            f.net, f.final_at
        )
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'settlement % of round % changes more than lines', bad.version, bad.round_id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER settlements_guard AFTER INSERT ON settlements
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION settlements_check()
    """,
    """
    CREATE FUNCTION source_tokens_check() RETURNS trigger LANGUAGE plpgsql
    AS $$
    BEGIN
        IF (NEW.id, NEW.source, NEW.digest, NEW.label, NEW.created_by, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.source, OLD.digest, OLD.label, OLD.created_by, OLD.created_at)
            OR NEW.expires_at > OLD.expires_at
            OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) THEN
            RAISE EXCEPTION 'a token stays bound to its source, and does not live longer than it was given'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER source_tokens_guard BEFORE UPDATE ON source_tokens
    FOR EACH ROW EXECUTE FUNCTION source_tokens_check()
    """,
    """
    CREATE TRIGGER source_tokens_stay BEFORE DELETE OR TRUNCATE ON source_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)


def upgrade() -> None:
    rows = ", ".join(
        "('{}', '{}', '{}')".format(*(part.replace("'", "''") for part in edge)) for edge in EDGES
    )
    op.execute(f"INSERT INTO round_transitions_allowed (from_state, to_state, reason) VALUES {rows}")  # noqa: S608 - our own literals
    for statement in (*COLUMNS, *GUARDS):
        op.execute(statement)
    fix_search_path(
        op,
        "round_transitions_check()",
        "rounds_binding_check()",
        "round_results_check()",
        "settlements_check()",
        "source_tokens_check()",
    )
    append_only(op, "entries")
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE DELETE, TRUNCATE ON source_tokens FROM "{role}"')
