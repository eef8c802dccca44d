"""A payout may pay in another asset than it debits, at a quote that payouts signed: the exchange has an account for each payout.

Money in it is explained by the row of the payout alone, so the database compares the two after each posting.
"""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

EDGES = """
payout_exchanged payout_pending fx redeemable
payout_exchanged fx payout_pending redeemable
payout_exchange_reversed payout_pending fx redeemable
payout_exchange_reversed fx payout_pending redeemable
payout_returned treasury fx redeemable
payout_returned fx wallet:winnings redeemable
"""

PAYOUTS = (
    "ALTER TABLE payouts ADD COLUMN pay_asset text",
    "ALTER TABLE payouts ADD COLUMN pay bigint",
    "ALTER TABLE payouts ADD COLUMN quote jsonb",
    "ALTER TABLE payouts ADD COLUMN quote_id text",
    "ALTER TABLE payouts ADD CONSTRAINT payouts_pay_asset FOREIGN KEY (pay_asset) REFERENCES assets (code) NOT VALID",
    """
    ALTER TABLE payouts ADD CONSTRAINT payouts_exchange CHECK (
        (pay_asset IS NULL) = (pay IS NULL)
        AND (pay_asset IS NULL OR (pay > 0 AND pay_asset <> asset AND quote IS NOT NULL AND player IS NOT NULL))
    ) NOT VALID
    """,
    "ALTER TABLE payouts ADD CONSTRAINT payouts_quote CHECK ((quote IS NULL) = (quote_id IS NULL)) NOT VALID",
    "-- squawk-ignore ban-drop-constraint\nALTER TABLE payouts DROP CONSTRAINT payouts_returned",
    "-- squawk-ignore ban-drop-constraint\nALTER TABLE payouts DROP CONSTRAINT payouts_returned_paid",
    "ALTER TABLE payouts ADD CONSTRAINT payouts_returned CHECK (returned BETWEEN 0 AND coalesce(pay, amount - fee)) NOT VALID",
    "CREATE UNIQUE INDEX payouts_quote_once ON payouts (quote_id) WHERE quote_id IS NOT NULL",
    """
    CREATE TRIGGER payouts_quote_bound BEFORE UPDATE OF pay_asset, pay, quote, quote_id ON payouts FOR EACH ROW
    WHEN ((OLD.pay_asset, OLD.pay, OLD.quote, OLD.quote_id) IS DISTINCT FROM (NEW.pay_asset, NEW.pay, NEW.quote, NEW.quote_id))
    EXECUTE FUNCTION refuse_rebinding_row()
    """,
)

# Accounts of the exchange have no bound, since each is above zero in one asset and below in the other. What they hold follows
# from the payout: its exchange while it is open or paid, nothing after a give-back, and after a return the part that did not
# come back, where the returned part goes to the player at the rate of the quote, rounded down.
GUARD = (
    """
    CREATE FUNCTION ledger_exchange_explained() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
    DECLARE one record;
    BEGIN
        IF NOT EXISTS (SELECT 1 FROM posted t WHERE t.debit_kind = 'fx' OR t.credit_kind = 'fx') THEN
            RETURN NULL;
        END IF;
        FOR one IN
            SELECT f.owner, f.asset, b.balance, p.id, CASE
                WHEN p.state IN ('failed', 'rejected', 'cancelled') THEN 0
                WHEN f.asset = p.asset THEN
                    p.amount - p.fee - div(CAST(p.amount - p.fee AS numeric) * p.returned, CAST(p.pay AS numeric))
                WHEN f.asset = p.pay_asset THEN p.returned - p.pay END AS expected
            FROM (
                SELECT debit_account AS account FROM posted WHERE debit_kind = 'fx'
                UNION SELECT credit_account FROM posted WHERE credit_kind = 'fx'
            ) l
            JOIN ledger_accounts f ON f.id = l.account JOIN ledger_balances b ON b.id = l.account
            LEFT JOIN payouts p ON p.id = CASE WHEN pg_input_is_valid(f.owner, 'uuid') THEN CAST(f.owner AS uuid) END
                AND p.pay_asset IS NOT NULL
        LOOP
            IF one.expected IS DISTINCT FROM one.balance THEN
                RAISE EXCEPTION 'payout % exchanges % minor units of %, and not %', one.owner, one.expected, one.asset, one.balance
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_exchange_explained';
            END IF;
        END LOOP;
        IF EXISTS (
            SELECT 1 FROM posted t JOIN ledger_accounts f ON f.id = t.debit_account JOIN ledger_accounts w ON w.id = t.credit_account
            LEFT JOIN payouts p ON p.id = CASE WHEN pg_input_is_valid(f.owner, 'uuid') THEN CAST(f.owner AS uuid) END
            WHERE t.debit_kind = 'fx' AND t.credit_kind = 'wallet:winnings' AND p.player IS DISTINCT FROM w.owner
        ) THEN
            RAISE EXCEPTION 'what a payout exchanged goes back to its own player only'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_exchange_owner';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER ledger_transfers_exchange AFTER INSERT ON ledger_transfers
    REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION ledger_exchange_explained()
    """,
)


def upgrade() -> None:
    for type_, debit, credit, which in (line.split() for line in EDGES.strip().splitlines()):
        redeemable = "true" if which == "redeemable" else "false"
        op.execute(f"INSERT INTO ledger_edges VALUES ('{type_}', '{debit}', '{credit}', {redeemable})")  # noqa: S608 - our own words
    for statement in (*PAYOUTS, *GUARD):
        op.execute(statement)


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("ways that money has gone cannot be taken back by a migration")
