"""Answers of a screening service, and which of them let an attempt begin."""

import sqlalchemy as sa
from alembic import op

from prizewire_chassis.db.schema import append_only, bound_times

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "screenings",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("payout_id", sa.Uuid, sa.ForeignKey("payouts.payout_id"), nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('clear', 'hit', 'unanswered') AND (verdict = 'unanswered' OR reference IS NOT NULL)",
            name="screenings_answered",
        ),
    )
    op.create_index("screenings_payout", "screenings", ["payout_id", "number"])
    bound_times(op, "screenings", "at")
    append_only(op, "screenings")
    op.execute(
        "ALTER TABLE gate_judgements ADD COLUMN screening bigint, ADD COLUMN screened_after timestamptz"
    )
    op.execute(
        "-- squawk-ignore ban-drop-constraint\nALTER TABLE gate_judgements DROP CONSTRAINT gate_judgements_times"
    )
    bound_times(op, "gate_judgements", "at", "screened_after")


def downgrade() -> None:
    """What a screening service answered is not forgotten."""
    raise RuntimeError("what a screening service answered cannot be forgotten by a migration")
