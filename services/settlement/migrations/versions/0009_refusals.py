"""Campaigns of rewards, and settlements that rewards can never book: kept, shown, and left by an admin's decision."""

from alembic import op

from prizewire_chassis.db.schema import append_only, fix_search_path

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What domain/states.py gained; a test holds all copies together equal to it.
EDGES = (("FINALIZED", "VOIDED", "an admin voided a final round that rewards can never book"),)

TABLES = (
    """
    CREATE TABLE campaigns (
        id uuid PRIMARY KEY,
        asset text NOT NULL,
        state text NOT NULL,
        version integer NOT NULL
    )
    """,
    """
    CREATE TABLE round_refusals (
        round_id uuid NOT NULL,
        settlement_version integer NOT NULL,
        part integer NOT NULL,
        code text NOT NULL,
        detail text NOT NULL,
        event_id text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (round_id, settlement_version)
    )
    """,
    "ALTER TABLE rounds ADD COLUMN refused_at timestamptz",
    "CREATE INDEX rounds_refused ON rounds (created_at, id) WHERE refused_at IS NOT NULL",
    "ALTER TABLE settlements ADD COLUMN anew boolean NOT NULL DEFAULT false",
    (
        "CREATE INDEX round_transitions_ended ON round_transitions (at, round_id) "
        "WHERE to_state IN ('FINALIZED', 'VOIDED')"
    ),
)

# As before, guards look at a whole statement's rows at once where many may come.
GUARDS = (
    # A final round is voided only while its newest settlement is refused.
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
        OR (f.from_state = 'FINALIZED' AND f.to_state = 'VOIDED' AND NOT EXISTS (
            SELECT 1 FROM rounds r JOIN round_refusals x
            ON x.round_id = r.id AND x.settlement_version = r.settlement_version WHERE r.id = f.round_id
        ))
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'round %: step % from % to % is not allowed',
                bad.round_id, bad.seq, bad.from_state, bad.to_state USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    # The rule of a round changes with a new settlement alone, and only where the one before is refused.
    """
    CREATE OR REPLACE FUNCTION rounds_binding_check() RETURNS trigger LANGUAGE plpgsql
    AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM fresh f JOIN stale s USING (id)
            WHERE (f.source, f.match_id, f.competition_id, f.correlation_id, f.created_at)
                IS DISTINCT FROM (s.source, s.match_id, s.competition_id, s.correlation_id, s.created_at)
            OR (f.rule_version IS DISTINCT FROM s.rule_version AND (
                f.settlement_version <> s.settlement_version + 1 OR NOT EXISTS (
                    SELECT 1 FROM round_refusals x
                    WHERE x.round_id = s.id AND x.settlement_version = s.settlement_version
                )
            ))
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
    # A correction moves lines, and nothing that was agreed before; a refused settlement may be made anew, but for its
    # moment of finality.
    """
    CREATE OR REPLACE FUNCTION settlements_check() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    DECLARE bad record;
    BEGIN
        SELECT f.round_id, f.version INTO bad FROM fresh f
        LEFT JOIN settlements p ON p.round_id = f.round_id AND p.version = f.version - 1
        WHERE (f.version > 1 AND NOT f.anew AND (
            p.rule_version, p.campaign, p.asset, p.gross, p.platform_fee, p.organizer_fee, p.organizer_player,
            p.net, p.final_at
        ) IS DISTINCT FROM (
            f.rule_version, f.campaign, f.asset, f.gross, f.platform_fee, f.organizer_fee, f.organizer_player,
            f.net, f.final_at
        )) OR (f.anew AND (p.final_at IS DISTINCT FROM f.final_at OR NOT EXISTS (
            SELECT 1 FROM round_refusals x
            WHERE x.round_id = f.round_id AND x.settlement_version = f.version - 1
        )))
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'settlement % of round % changes more than lines', bad.version, bad.round_id
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
)


def upgrade() -> None:
    rows = ", ".join(
        "('{}', '{}', '{}')".format(*(part.replace("'", "''") for part in edge)) for edge in EDGES
    )
    op.execute(f"INSERT INTO round_transitions_allowed (from_state, to_state, reason) VALUES {rows}")  # noqa: S608 - our own literals
    for statement in (*TABLES, *GUARDS):
        op.execute(statement)
    fix_search_path(op, "round_transitions_check()", "rounds_binding_check()", "settlements_check()")
    append_only(op, "round_refusals")
