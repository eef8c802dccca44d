"""A row of a round's history continues it: its steps are not those of another row, and they are few."""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE round_transitions ADD CONSTRAINT round_transitions_through CHECK (
        array_ndims(through) = 1 AND array_lower(through, 1) = 1 AND cardinality(through) <= 8) NOT VALID
    """,
    # As 0013 has it; and the steps of a row, which end with its number, overlap those of no other row.
    """
    CREATE OR REPLACE FUNCTION round_transitions_check() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    DECLARE bad record;
    BEGIN
        SELECT f.round_id, f.seq, s.from_state, s.to_state INTO bad FROM fresh f
        CROSS JOIN LATERAL (SELECT f.from_state || coalesce(f.through, '{}') || f.to_state AS path) p
        CROSS JOIN LATERAL (
            SELECT n, p.path[n] AS from_state, p.path[n + 1] AS to_state FROM generate_series(1, cardinality(p.path) - 1) AS n
        ) s
        WHERE NOT EXISTS (
            SELECT 1 FROM round_transitions_allowed a
            WHERE a.from_state = s.from_state AND a.to_state = s.to_state
        ) OR (s.n = 1 AND s.from_state IS DISTINCT FROM CASE WHEN f.seq = cardinality(p.path) - 1 THEN 'NEW' ELSE (
            SELECT b.to_state FROM round_transitions b
            WHERE b.round_id = f.round_id AND b.seq = f.seq - cardinality(p.path) + 1
        ) END) OR (s.n = 1 AND EXISTS (
            SELECT 1 FROM round_transitions b WHERE b.round_id = f.round_id AND b.seq <> f.seq
            AND b.seq > f.seq - cardinality(p.path) + 1 AND b.seq - coalesce(cardinality(b.through), 0) - 1 < f.seq
        )) OR (s.from_state = 'FINALIZED' AND (f.cause <> 'admin.resolve' OR f.reason IS NULL))
        OR (s.from_state = 'FINALIZED' AND s.to_state = 'VOIDED' AND NOT EXISTS (
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
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    fix_search_path(op, "round_transitions_check()")


def downgrade() -> None:
    raise RuntimeError("a history that must not fork cannot be allowed to by a migration")
