"""Sums of transfers up to a checkpoint, so that balances are held against them without reading the whole ledger."""

from alembic import op

from prizewire_chassis.db.schema import runtime_role

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    # Sums that are zero, such as those of reserves and payouts that are through, are left out.
    "CREATE TABLE ledger_sums (account uuid PRIMARY KEY, total bigint NOT NULL)",
    "CREATE INDEX ledger_sums_zero ON ledger_sums (account) WHERE total = 0",
    """
    CREATE TABLE ledger_checkpoint (
        one boolean PRIMARY KEY DEFAULT true CONSTRAINT ledger_checkpoint_one CHECK (one),
        seq bigint NOT NULL,
        mark bigint NOT NULL,
        mark_xid bigint NOT NULL
    )
    """,
    "INSERT INTO ledger_checkpoint (seq, mark, mark_xid) VALUES (0, 0, 0)",
)

# Transfers do not commit in the order of their numbers, so a number is summed up only when no transaction can bring a
# smaller one any more: a mark is set at the largest number to be seen, and passed once every transaction that had
# begun to write by then has ended. A transaction of the service has begun to write (its inbox row, its idempotency
# key, a campaign's lock) before it draws a transfer's number. Our own transaction begins to write after the mark was
# read, so its id comes after theirs. A mark from before a restore into another cluster is set anew.
SUM_UP = """
CREATE FUNCTION ledger_sum_up(rows_max integer) RETURNS TABLE (summed bigint, behind bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off AS $$
DECLARE c ledger_checkpoint; top bigint; upto bigint; was bigint; mine bigint;
BEGIN
    IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
        RAISE EXCEPTION 'summing up needs a transaction of its own' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    SELECT coalesce(max(t.seq), 0) INTO top FROM ledger_transfers t;
    SELECT * INTO c FROM ledger_checkpoint FOR UPDATE;
    mine := CAST(CAST(pg_current_xact_id() AS text) AS bigint);
    was := c.seq;
    upto := least(c.mark, c.seq + rows_max);
    IF upto > c.seq AND c.mark_xid < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) THEN
        INSERT INTO ledger_sums AS s (account, total)
        SELECT l.account, sum(l.delta)::bigint FROM (
            SELECT t.debit_account AS account, -t.amount AS delta FROM ledger_transfers t
            WHERE t.seq > c.seq AND t.seq <= upto
            UNION ALL SELECT t.credit_account, t.amount FROM ledger_transfers t
            WHERE t.seq > c.seq AND t.seq <= upto
        ) l GROUP BY l.account HAVING sum(l.delta) <> 0
        ON CONFLICT (account) DO UPDATE SET total = s.total + excluded.total;
        DELETE FROM ledger_sums s WHERE s.total = 0;
        c.seq := upto;
    END IF;
    IF c.seq >= c.mark OR c.mark_xid > mine THEN
        c.mark := greatest(top, c.seq);
        c.mark_xid := mine;
    END IF;
    UPDATE ledger_checkpoint p SET seq = c.seq, mark = c.mark, mark_xid = c.mark_xid;
    RETURN QUERY SELECT c.seq - was, greatest(top - c.seq, 0);
END $$
"""


def upgrade() -> None:
    for statement in (*TABLES, SUM_UP, "REVOKE EXECUTE ON FUNCTION ledger_sum_up(integer) FROM PUBLIC"):
        op.execute(statement)
    role = runtime_role(op)
    if role is not None:
        op.execute(f'GRANT EXECUTE ON FUNCTION ledger_sum_up(integer) TO "{role}"')
        op.execute(f'REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ledger_sums, ledger_checkpoint FROM "{role}"')


def downgrade() -> None:
    """Nothing depends on the sums but a check: they may go."""
    for statement in (
        "DROP FUNCTION ledger_sum_up(integer)",
        "DROP TABLE ledger_checkpoint",
        "DROP TABLE ledger_sums",
    ):
        op.execute(statement)
