"""Rounds that two admins disowned in rewards: kept, shown, and voided by an admin even where they are final."""

from alembic import op

from prizewire_chassis.db.schema import append_only, fix_search_path

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE round_disownments (
        round_id uuid PRIMARY KEY,
        disownment_id uuid NOT NULL,
        reason text NOT NULL,
        event_id text NOT NULL,
        at timestamptz NOT NULL
    )
    """,
    "ALTER TABLE rounds ADD COLUMN disowned_at timestamptz",
)

GUARDS = (
    # A final round is voided only while its newest settlement is refused, or where it is disowned.
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
        ) AND NOT EXISTS (SELECT 1 FROM round_disownments o WHERE o.round_id = f.round_id))
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'round %: step % from % to % is not allowed',
                bad.round_id, bad.seq, bad.from_state, bad.to_state USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    # As before; and a round is disowned only where the disownment is stored, and stays so.
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
            OR (f.disowned_at IS DISTINCT FROM s.disowned_at AND (s.disowned_at IS NOT NULL OR NOT EXISTS (
                SELECT 1 FROM round_disownments o WHERE o.round_id = s.id
            )))
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
)


def upgrade() -> None:
    for statement in (*TABLES, *GUARDS):
        op.execute(statement)
    fix_search_path(op, "round_transitions_check()", "rounds_binding_check()")
    append_only(op, "round_disownments")


def downgrade() -> None:
    raise RuntimeError("what is known of disowned rounds cannot be forgotten by a migration")
