"""Amounts that count into a limit are above zero, and a second signature counts as one."""

from alembic import op

from prizewire_chassis.db.schema import SEARCH_PATH

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# `payouts_terms` of the first migration exempts tombstones, of which some were signed. Rows that are there already are not
# looked at: the checks do not count what is below zero.
BOUNDS = {
    "payouts": (
        "payouts_amount",
        (
            "CASE WHEN terms IS NULL THEN asset IS NULL AND amount_minor IS NULL AND counted_on IS NULL "
            "ELSE asset IS NOT NULL AND amount_minor IS NOT NULL AND amount_minor > 0 AND counted_on IS NOT NULL END"
        ),
    ),
    "limit_counts": ("limit_counts_amount", "amount_minor > 0"),
    "digests": ("digests_amounts", "fee >= 0 AND fee_cap >= 0"),
    "answers": ("answers_counter", "counter > 0"),
}
AMOUNT = """
    IF NOT EXISTS (SELECT 1 FROM payouts WHERE payout_id = NEW.payout_id AND asset = NEW.asset
        AND amount_minor = NEW.amount_minor) THEN
        RAISE EXCEPTION 'the count of payout % is not its amount', NEW.payout_id USING ERRCODE = 'check_violation';
    END IF;"""
AGAIN = """
    IF NOT NEW.again AND EXISTS (SELECT 1 FROM digest_payouts i JOIN digests d USING (tx_hash)
        WHERE i.payout_id = NEW.payout_id AND d.slot_id <> NEW.slot_id) THEN
        RAISE EXCEPTION 'payout % was signed on another slot', NEW.payout_id USING ERRCODE = 'check_violation';
    END IF;"""


def guard(*bodies: str) -> None:
    """Write the function of the trigger of migration 0014."""
    op.execute(
        "CREATE OR REPLACE FUNCTION limit_counts_amount() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = {SEARCH_PATH} AS $$ BEGIN {''.join(bodies)} RETURN NEW; END $$"
    )


def upgrade() -> None:
    for table, (name, rule) in BOUNDS.items():
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID")
    guard(AMOUNT, AGAIN)
    # The guard above, and the count of a payout's slots, look for the digests of a payout.
    op.execute(
        "-- squawk-ignore require-concurrent-index-creation\n"
        "CREATE INDEX digest_payouts_payout_id ON digest_payouts (payout_id)"
    )


def downgrade() -> None:
    """No row changes."""
    op.execute("-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX digest_payouts_payout_id")
    guard(AMOUNT)
    for table, (name, _) in BOUNDS.items():
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
