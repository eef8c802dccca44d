"""Competitions, rounds and settlements, with the state machine and the growing tables guarded by the database."""

from alembic import op

from prizewire_chassis.db.schema import append_only, create_chassis_schema_v1, runtime_role

revision = "0001"
down_revision = None

# A literal copy of domain/states.py as it was then; a test holds both equal.
EDGES = (
    ("NEW", "OPEN", "the match takes players, or a later report implies that it did"),
    ("OPEN", "CLOSED", "the match takes no more players, or its result has begun to come"),
    ("CLOSED", "RESOLVED", "every part of the result is here"),
    ("RESOLVED", "SETTLED", "the prizes were worked out under the round's rule"),
    ("SETTLED", "FINALIZED", "the dispute window has passed, or there is none"),
    ("OPEN", "VOIDED", "the match does not count"),
    ("CLOSED", "VOIDED", "the match does not count"),
    ("RESOLVED", "VOIDED", "the result does not count"),
    ("SETTLED", "VOIDED", "the match was voided inside the dispute window"),
)

TABLES = (
    """
    CREATE TABLE competitions (
        id text PRIMARY KEY,
        name text NOT NULL,
        rule_version integer NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE competition_rules (
        competition_id text NOT NULL REFERENCES competitions (id),
        version integer NOT NULL,
        campaign uuid NOT NULL,
        asset text NOT NULL REFERENCES assets (code),
        gross bigint NOT NULL,
        platform_bps integer NOT NULL,
        organizer_bps integer NOT NULL,
        organizer_player text,
        template text,
        places jsonb NOT NULL,
        per_point jsonb,
        ties text NOT NULL,
        rank_score text,
        rank_descending boolean NOT NULL,
        sources jsonb NOT NULL,
        dispute_window_s integer NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (competition_id, version),
        CONSTRAINT gross_not_negative CHECK (gross >= 0),
        CONSTRAINT fees_fit CHECK (
            platform_bps >= 0 AND organizer_bps >= 0 AND platform_bps + organizer_bps <= 10000
        ),
        CONSTRAINT ties_known CHECK (ties IN ('split', 'refuse'))
    )
    """,
    """
    CREATE TABLE round_transitions_allowed (
        from_state text NOT NULL,
        to_state text NOT NULL,
        reason text NOT NULL,
        PRIMARY KEY (from_state, to_state)
    )
    """,
    """
    CREATE TABLE rounds (
        id uuid PRIMARY KEY,
        source text NOT NULL,
        match_id text NOT NULL,
        competition_id text NOT NULL,
        correlation_id text NOT NULL,
        rule_version integer NOT NULL,
        state text NOT NULL,
        state_seq integer NOT NULL,
        version integer NOT NULL,
        settlement_version integer NOT NULL,
        result_version integer,
        final_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT rounds_one_per_match UNIQUE (match_id, source),
        CONSTRAINT rounds_rule FOREIGN KEY (competition_id, rule_version)
            REFERENCES competition_rules (competition_id, version)
    )
    """,
    "CREATE INDEX rounds_correlation ON rounds (correlation_id)",
    "CREATE INDEX rounds_recent ON rounds (created_at, id)",
    "CREATE INDEX rounds_of_competition ON rounds (competition_id, created_at, id)",
    "CREATE INDEX rounds_due ON rounds (final_at, id) WHERE state = 'SETTLED'",
    """
    CREATE TABLE round_transitions (
        round_id uuid NOT NULL,
        seq integer NOT NULL,
        from_state text NOT NULL,
        to_state text NOT NULL,
        cause text NOT NULL,
        cause_id text,
        actor text NOT NULL,
        correlation_id text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (round_id, seq)
    )
    """,
    """
    CREATE TABLE round_results (
        round_id uuid NOT NULL,
        result_version integer NOT NULL,
        part integer NOT NULL,
        parts integer NOT NULL,
        hash bytea NOT NULL,
        document text NOT NULL,
        event_id text NOT NULL,
        received_at timestamptz NOT NULL,
        PRIMARY KEY (round_id, result_version, part),
        CONSTRAINT part_of_parts CHECK (part BETWEEN 1 AND parts)
    )
    """,
    """
    CREATE TABLE settlements (
        round_id uuid NOT NULL,
        version integer NOT NULL,
        rule_version integer NOT NULL,
        campaign uuid NOT NULL,
        asset text NOT NULL,
        gross bigint NOT NULL,
        platform_fee bigint NOT NULL,
        organizer_fee bigint NOT NULL,
        organizer_player text,
        net bigint NOT NULL,
        unclaimed bigint NOT NULL,
        lines_total integer NOT NULL,
        parts integer NOT NULL,
        first_event integer NOT NULL,
        final boolean NOT NULL,
        final_at timestamptz NOT NULL,
        settled_at timestamptz NOT NULL,
        cause_id text NOT NULL,
        PRIMARY KEY (round_id, version),
        CONSTRAINT gross_is_fees_and_net CHECK (gross = platform_fee + organizer_fee + net),
        CONSTRAINT parts_not_negative CHECK (platform_fee >= 0 AND organizer_fee >= 0 AND net >= 0),
        CONSTRAINT unclaimed_within_net CHECK (unclaimed BETWEEN 0 AND net)
    )
    """,
    """
    CREATE TABLE settlement_lines (
        round_id uuid NOT NULL,
        version integer NOT NULL,
        line integer NOT NULL,
        player text NOT NULL,
        place integer NOT NULL,
        amount bigint NOT NULL,
        PRIMARY KEY (round_id, version, line),
        CONSTRAINT amount_positive CHECK (amount > 0)
    )
    """,
)

# The guards look at a whole statement's rows at once, so that their cost does not grow with the batch. They find
# their rows by primary key; a plan that was cached while the tables were small must not turn into scans.
GUARDS = (
    """
    CREATE FUNCTION round_transitions_check() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    DECLARE bad record;
    BEGIN
        SELECT f.round_id, f.seq, f.from_state, f.to_state INTO bad FROM fresh f
        WHERE NOT EXISTS (
            SELECT 1 FROM round_transitions_allowed a
            WHERE a.from_state = f.from_state AND a.to_state = f.to_state
        ) OR f.from_state IS DISTINCT FROM CASE WHEN f.seq = 1 THEN 'NEW' ELSE (
            SELECT p.to_state FROM round_transitions p WHERE p.round_id = f.round_id AND p.seq = f.seq - 1
        ) END
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'round %: step % from % to % is not allowed',
                bad.round_id, bad.seq, bad.from_state, bad.to_state USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER round_transitions_guard AFTER INSERT ON round_transitions
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION round_transitions_check()
    """,
    """
    CREATE FUNCTION rounds_state_check() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    DECLARE bad record;
    BEGIN
        SELECT f.id, f.state, f.state_seq INTO bad FROM fresh f
        WHERE f.state IS DISTINCT FROM (
            SELECT t.to_state FROM round_transitions t WHERE t.round_id = f.id AND t.seq = f.state_seq
        ) OR EXISTS (
            SELECT 1 FROM round_transitions t WHERE t.round_id = f.id AND t.seq = f.state_seq + 1
        )
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'round %: % is not its last step (%)', bad.id, bad.state, bad.state_seq
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER rounds_state_on_insert AFTER INSERT ON rounds
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION rounds_state_check()
    """,
    """
    CREATE TRIGGER rounds_state_on_update AFTER UPDATE ON rounds
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION rounds_state_check()
    """,
    """
    CREATE FUNCTION rounds_binding_check() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM fresh f JOIN stale s USING (id)
            WHERE (f.source, f.match_id, f.competition_id, f.correlation_id, f.rule_version, f.created_at)
                IS DISTINCT FROM
                (s.source, s.match_id, s.competition_id, s.correlation_id, s.rule_version, s.created_at)
            OR f.version < s.version OR f.state_seq < s.state_seq OR f.settlement_version < s.settlement_version
        ) OR (SELECT count(*) FROM fresh f JOIN stale s USING (id)) <> (SELECT count(*) FROM stale) THEN
            RAISE EXCEPTION 'what a round is bound to does not change, and its counters only grow'
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER rounds_binding AFTER UPDATE ON rounds
    REFERENCING OLD TABLE AS stale NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION rounds_binding_check()
    """,
    """
    CREATE TRIGGER rounds_stay BEFORE DELETE OR TRUNCATE ON rounds
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE FUNCTION round_results_check() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM rounds r WHERE r.id = OLD.round_id AND r.result_version = OLD.result_version
            AND OLD IS DISTINCT FROM NEW
        ) THEN
            RAISE EXCEPTION 'round %: the result it was settled by does not change', OLD.round_id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER round_results_guard BEFORE UPDATE ON round_results
    FOR EACH ROW EXECUTE FUNCTION round_results_check()
    """,
    """
    CREATE TRIGGER round_results_stay BEFORE DELETE OR TRUNCATE ON round_results
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)


def upgrade() -> None:
    create_chassis_schema_v1(op)
    for statement in TABLES:
        op.execute(statement)
    rows = ", ".join(
        "('{}', '{}', '{}')".format(*(part.replace("'", "''") for part in edge)) for edge in EDGES
    )
    op.execute(f"INSERT INTO round_transitions_allowed (from_state, to_state, reason) VALUES {rows}")  # noqa: S608 - our own literals
    for table in (
        "competition_rules",
        "round_transitions_allowed",
        "round_transitions",
        "settlements",
        "settlement_lines",
    ):
        append_only(op, table)
    for statement in GUARDS:
        op.execute(statement)
    role = runtime_role(op)
    if role is not None:
        op.execute(f'REVOKE INSERT ON round_transitions_allowed FROM "{role}"')
        op.execute(f'REVOKE DELETE, TRUNCATE ON rounds, round_results FROM "{role}"')
