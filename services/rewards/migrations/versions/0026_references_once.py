"""Money that comes in, or fees that leave, under a reference that was used before say so."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Rows of before are what they are: where several share a reference, all but the first repeat it.
OLD_MONEY = """
    UPDATE money_in m SET repeats = f.id
    FROM (SELECT DISTINCT ON (account, reference) id, account, reference FROM money_in
          WHERE type IN ('campaign_funded', 'funding_added') ORDER BY account, reference, at, id) f
    WHERE m.account = f.account AND m.reference = f.reference AND m.id <> f.id
      AND m.type IN ('campaign_funded', 'funding_added')
"""
OLD_FEES = """
    UPDATE fee_withdrawals w SET repeats = f.id
    FROM (SELECT DISTINCT ON (source, asset, reference) id, source, asset, reference FROM fee_withdrawals
          WHERE state <> 'rejected' ORDER BY source, asset, reference, filed_at, id) f
    WHERE w.source = f.source AND w.asset = f.asset AND w.reference = f.reference AND w.id <> f.id
      AND w.state <> 'rejected'
"""
STATEMENTS = (
    "ALTER TABLE money_in ADD COLUMN repeats uuid",
    "ALTER TABLE fee_withdrawals ADD COLUMN repeats uuid",
    # Only here, under the lock of the table, and only for the new column.
    "ALTER TABLE money_in DISABLE TRIGGER money_in_append_only",
    OLD_MONEY,
    "ALTER TABLE money_in ENABLE TRIGGER money_in_append_only",
    OLD_FEES,
    # An opening balance has a transfer's id that follows from its reference: it needs no index to be booked once.
    """
    CREATE UNIQUE INDEX money_in_reference_once ON money_in (account, reference)
    WHERE repeats IS NULL AND type IN ('campaign_funded', 'funding_added')
    """,
    """
    CREATE UNIQUE INDEX fee_withdrawals_reference_once ON fee_withdrawals (source, asset, reference)
    WHERE repeats IS NULL AND state <> 'rejected'
    """,
    """
    CREATE TRIGGER fee_withdrawals_repeats_bound BEFORE UPDATE ON fee_withdrawals FOR EACH ROW
    WHEN (OLD.repeats IS DISTINCT FROM NEW.repeats) EXECUTE FUNCTION refuse_rebinding_row()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Which bookings share a reference is not forgotten: restore a backup instead."""
    raise RuntimeError("which bookings share a reference is not taken back by a migration")
