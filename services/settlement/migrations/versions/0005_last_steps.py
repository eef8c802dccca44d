"""A round's last step is looked up by its key, whatever the number of steps that there are.

The guard asked by EXISTS before, which the planner may answer by reading all steps once for each batch.
"""

from alembic import op

from prizewire_chassis.db.schema import fix_search_path

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FUNCTION = """
    CREATE OR REPLACE FUNCTION rounds_state_check() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
    DECLARE bad record;
    BEGIN
        SELECT f.id, f.state, f.state_seq INTO bad FROM fresh f
        WHERE f.state IS DISTINCT FROM (
            SELECT t.to_state FROM round_transitions t WHERE t.round_id = f.id AND t.seq = f.state_seq
        ) OR {after}
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'round %: % is not its last step (%)', bad.id, bad.state, bad.state_seq
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
"""
SEEK = (
    "(SELECT t.seq FROM round_transitions t WHERE t.round_id = f.id AND t.seq = f.state_seq + 1) IS NOT NULL"
)
EXISTS = "EXISTS (SELECT 1 FROM round_transitions t WHERE t.round_id = f.id AND t.seq = f.state_seq + 1)"


def _replace(after: str) -> None:
    op.execute(FUNCTION.format(after=after))
    fix_search_path(op, "rounds_state_check()")


def upgrade() -> None:
    _replace(SEEK)


def downgrade() -> None:
    _replace(EXISTS)
