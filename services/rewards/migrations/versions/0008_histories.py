"""A wallet's entries in the order of their times, so that a period is one walk along an index.

The indexes of wallets held their entries by number alone; now they do by time and number, which is the same order but
for transactions that ran beside each other.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Nobody reads the ledger's history while it is built anew: both steps are one transaction.
DROP = "-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX ledger_transfers_wallet_{side}s"
CREATE = (
    "CREATE INDEX ledger_transfers_wallet_{side}s ON ledger_transfers ({side}_account, {columns}) "
    "WHERE {side}_kind LIKE 'wallet:%'"
)


def _index_by(columns: str) -> None:
    for side in ("credit", "debit"):
        op.execute(DROP.format(side=side))
        op.execute(CREATE.format(side=side, columns=columns))


def upgrade() -> None:
    _index_by("at, seq")


def downgrade() -> None:
    _index_by("seq")
