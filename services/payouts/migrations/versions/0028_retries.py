"""An operator retries an ended payout: the requests with rewards' answers, and the payouts that they led to."""

from alembic import op

from prizewire_chassis.db.schema import bound_times, unbound

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE payouts ADD COLUMN retry_of uuid",
    "ALTER TABLE payouts ADD COLUMN retried_by uuid",
    "CREATE UNIQUE INDEX payouts_one_retry ON payouts (retry_of) WHERE retry_of IS NOT NULL",
    """
    CREATE TABLE payout_retries (
        payout_id uuid NOT NULL REFERENCES payouts (payout_id),
        retry_no integer NOT NULL CONSTRAINT payout_retries_number CHECK (retry_no >= 1),
        asked_by text NOT NULL,
        reason text NOT NULL,
        method_id uuid,
        asked_at timestamptz NOT NULL,
        retried_by uuid,
        code text,
        detail text,
        answered_at timestamptz,
        PRIMARY KEY (payout_id, retry_no),
        CONSTRAINT payout_retries_answer CHECK (
            (answered_at IS NULL) = (retried_by IS NULL AND code IS NULL) AND (code IS NULL) = (detail IS NULL)
            AND (retried_by IS NULL OR code IS NULL)
        )
    )
    """,
    "CREATE UNIQUE INDEX payout_retries_one_live ON payout_retries (payout_id) WHERE code IS NULL",
    """
    CREATE FUNCTION payout_retries_answered() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
        RAISE EXCEPTION 'the retry % of payout % is answered once', OLD.retry_no, OLD.payout_id
            USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE TRIGGER payout_retries_answered BEFORE UPDATE ON payout_retries FOR EACH ROW
    WHEN (OLD.answered_at IS NOT NULL) EXECUTE FUNCTION payout_retries_answered()
    """,
    """
    CREATE FUNCTION payouts_retried() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
    BEGIN
        RAISE EXCEPTION 'payout % is retried by one payout, once it has ended', OLD.payout_id
            USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE TRIGGER payouts_retried BEFORE UPDATE OF retried_by ON payouts FOR EACH ROW
    WHEN (
        OLD.retried_by IS DISTINCT FROM NEW.retried_by
        AND (OLD.retried_by IS NOT NULL OR NEW.state NOT IN ('failed', 'rejected', 'cancelled', 'returned'))
    ) EXECUTE FUNCTION payouts_retried()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    bound_times(op, "payout_retries", "asked_at", "answered_at")


def downgrade() -> None:
    unbound(op, times=("payout_retries",), counters={})
    op.execute("DROP TRIGGER payouts_retried ON payouts")
    op.execute("DROP FUNCTION payouts_retried()")
    op.execute("DROP TABLE payout_retries")
    op.execute("DROP FUNCTION payout_retries_answered()")
    for name in ("retried_by", "retry_of"):
        op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE payouts DROP COLUMN {name}")
