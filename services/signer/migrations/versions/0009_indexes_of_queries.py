"""Three indexes go that no query reads: what a day counts is in limit_counts, a slot's digests lead to their payouts, and
the service only adds to the history.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for index in ("payouts_counted_on", "digest_payouts_payout_id", "transitions_subject"):
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\nDROP INDEX {index}")


def downgrade() -> None:
    op.execute("CREATE INDEX payouts_counted_on ON payouts (counted_on, asset)")
    op.execute("CREATE INDEX digest_payouts_payout_id ON digest_payouts (payout_id)")
    op.execute("CREATE INDEX transitions_subject ON transitions (machine, subject, id)")
