"""No booking brings an account, or what came into an asset, beyond 2^62 minor units; sums are kept without a bound.

Sums and balances of unbounded accounts are ``numeric``: no sum fails because it passes 64 bits.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

MOST = 2**62

SUMS = (
    "-- squawk-ignore ban-drop-view\nDROP VIEW ledger_balances",
    "-- squawk-ignore changing-column-type\nALTER TABLE ledger_rollups ALTER COLUMN balance TYPE numeric",
    "-- squawk-ignore changing-column-type\nALTER TABLE ledger_sums ALTER COLUMN total TYPE numeric",
    """
    CREATE VIEW ledger_balances AS
    SELECT a.id, a.kind, a.owner, a.asset, coalesce(
        CAST(a.balance AS numeric),
        coalesce((SELECT r.balance FROM ledger_rollups r WHERE r.account = a.id), 0)
            + coalesce((SELECT sum(d.delta) FROM ledger_deltas d WHERE d.account = a.id), 0)
    ) AS balance
    FROM ledger_accounts a
    """,
    """
    CREATE OR REPLACE FUNCTION ledger_roll_up(rows_max integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        WITH taken AS (
            DELETE FROM ledger_deltas WHERE id IN (
                SELECT id FROM ledger_deltas ORDER BY id LIMIT rows_max FOR UPDATE SKIP LOCKED
            ) RETURNING account, delta
        ), folded AS (
            INSERT INTO ledger_rollups AS r (account, balance)
            SELECT account, sum(delta) FROM taken GROUP BY account ORDER BY account
            ON CONFLICT (account) DO UPDATE SET balance = r.balance + excluded.balance
        )
        SELECT count(*) FROM taken
    $$
    """,
    # As 0003 has it, but for the sums.
    """
    CREATE OR REPLACE FUNCTION ledger_sum_up(rows_max integer) RETURNS TABLE (summed bigint, behind bigint)
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
            SELECT l.account, sum(l.delta) FROM (
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
    """,
)

# What comes in from outside waits for whatever else brings something into its asset, so the sum is exact; the service
# takes the same lock before it decides. It comes before the accounts are locked (triggers run in the order of their
# names), as the service has it. An account without a bound keeps no balance to lock: what was folded, and what this
# statement adds, is held to the limit.
GUARD = (
    """
    CREATE FUNCTION ledger_limit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE most CONSTANT numeric := 4611686018427387904; one record; came_in numeric;
    BEGIN
        FOR one IN
            SELECT p.asset, sum(p.amount) AS amount FROM posted p WHERE p.debit_kind = 'external_in'
            GROUP BY p.asset ORDER BY p.asset
        LOOP
            PERFORM pg_advisory_xact_lock(hashtext('prizewire.intake'), hashtext(one.asset));
            SELECT coalesce(-sum(b.balance), 0) INTO came_in FROM ledger_balances b
            WHERE b.kind = 'external_in' AND b.asset = one.asset;
            IF came_in + one.amount > most THEN
                RAISE EXCEPTION '% minor units of % came in, % more would pass the limit', came_in, one.asset, one.amount
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_intake_limit';
            END IF;
        END LOOP;
        SELECT l.account, l.asset INTO one FROM (
            SELECT debit_account AS account, debit_kind AS kind, asset, -amount AS delta FROM posted
            UNION ALL SELECT credit_account, credit_kind, asset, amount FROM posted
        ) l JOIN ledger_kinds k ON k.kind = l.kind AND k.bound = 'none'
        LEFT JOIN ledger_rollups r ON r.account = l.account
        GROUP BY l.account, l.asset, r.balance HAVING abs(coalesce(r.balance, 0) + sum(l.delta)) > most LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'account % in % would pass % minor units', one.account, one.asset, most
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_accounts_limit';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER ledger_transfers_a_limit AFTER INSERT ON ledger_transfers
    REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION ledger_limit()
    """,
    f"""
    ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_accounts_limit
    CHECK (balance BETWEEN -{MOST} AND {MOST}) NOT VALID
    """,
)


def upgrade() -> None:
    for statement in (*SUMS, *GUARD):
        op.execute(statement)


def downgrade() -> None:
    """What the database refuses is not allowed again by a migration."""
    raise RuntimeError("sums that may pass 64 bits cannot be made to fit them by a migration")
