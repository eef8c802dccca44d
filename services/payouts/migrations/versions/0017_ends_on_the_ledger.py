"""A transaction's bytes are fixed, and ends that the ledger contradicts are stored."""

from alembic import op

from prizewire_chassis.db.schema import SEARCH_PATH, bound_times

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE stellar_contradictions (
        tx_hash text PRIMARY KEY,
        attempt_id bigint NOT NULL REFERENCES stellar_attempts (attempt_id),
        state text NOT NULL,
        ledger bigint NOT NULL,
        found_at timestamptz NOT NULL
    )
    """,
    """
    CREATE INDEX stellar_attempts_ended ON stellar_attempts (max_time)
    WHERE state IN ('refused', 'failed', 'dead', 'superseded')
    """,
)
GUARDS = {
    "stellar_attempts_fixed": (
        """
        BEFORE UPDATE ON stellar_attempts FOR EACH ROW WHEN (OLD.tx_hash IS NOT NULL
            AND (NEW.slot_id, NEW.revision, NEW.tx_hash, NEW.unsigned_xdr, NEW.max_time)
            IS DISTINCT FROM (OLD.slot_id, OLD.revision, OLD.tx_hash, OLD.unsigned_xdr, OLD.max_time))""",
        """
        RAISE EXCEPTION 'the transaction of attempt % stays as it was built', OLD.attempt_id
            USING ERRCODE = 'check_violation';""",
    ),
    "stellar_items_fixed": (
        """
        BEFORE UPDATE OF op ON stellar_items FOR EACH ROW
            WHEN (OLD.op IS NOT NULL AND NEW.op IS DISTINCT FROM OLD.op)""",
        """
        RAISE EXCEPTION 'operation % of attempt % stays as it was built', OLD.op, OLD.attempt_id
            USING ERRCODE = 'check_violation';""",
    ),
}


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    bound_times(op, "stellar_contradictions", "found_at")
    for name, (event, body) in GUARDS.items():
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {SEARCH_PATH} "
            f"AS $$ BEGIN {body} END $$"
        )
        op.execute(f"CREATE TRIGGER {name} {event} EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    op.execute("DROP TRIGGER stellar_items_fixed ON stellar_items")
    op.execute("DROP TRIGGER stellar_attempts_fixed ON stellar_attempts")
    for name in GUARDS:
        op.execute(f"DROP FUNCTION {name}()")
    op.execute("DROP INDEX stellar_attempts_ended")
    op.execute("DROP TABLE stellar_contradictions")
