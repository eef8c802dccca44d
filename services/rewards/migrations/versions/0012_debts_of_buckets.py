"""Top-ups pay the debts of top-ups, and what was given up of a debt is restored when its reason is gone."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

EDGES = """
receivable_recovered wallet:topup external_out redeemable
receivable_restored clearing write_off any
"""

RECEIVABLES = (
    "ALTER TABLE receivables ADD COLUMN restored bigint NOT NULL DEFAULT 0",
    "ALTER TABLE receivables ADD CONSTRAINT receivables_restored CHECK (restored BETWEEN 0 AND written_off) NOT VALID",
    """
    CREATE INDEX receivables_unpaid ON receivables (reference, player)
    WHERE amount - recovered - lifted - restored > 0
    """,
    """
    CREATE TRIGGER receivables_restored_forward BEFORE UPDATE ON receivables FOR EACH ROW
    WHEN (NEW.restored < OLD.restored) EXECUTE FUNCTION refuse_rebinding()
    """,
)


def upgrade() -> None:
    for type_, debit, credit, which in (line.split() for line in EDGES.strip().splitlines()):
        redeemable = "true" if which == "redeemable" else "false"
        op.execute(f"INSERT INTO ledger_edges VALUES ('{type_}', '{debit}', '{credit}', {redeemable})")  # noqa: S608 - our own words
    for statement in RECEIVABLES:
        op.execute(statement)


def downgrade() -> None:
    """Money is never migrated backwards: restore a backup instead."""
    raise RuntimeError("ways that money has gone cannot be taken back by a migration")
