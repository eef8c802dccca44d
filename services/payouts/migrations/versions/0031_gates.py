"""What gates found about a payout, and that they were judged before each attempt.

Attempts from before this revision count as judged, since there were no gates.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from prizewire_chassis.db.schema import append_only

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "gate_findings",
        sa.Column("payout_id", sa.Uuid, sa.ForeignKey("payouts.payout_id"), nullable=False),
        sa.Column("hold_no", sa.Integer, nullable=False),
        sa.Column("gate", sa.Text, nullable=False),
        sa.Column("fact", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("approvers", sa.Integer, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("payout_id", "hold_no", "gate"),
        sa.CheckConstraint("hold_no >= 1 AND approvers >= 1", name="gate_findings_held"),
    )
    op.create_table(
        "gate_judgements",
        sa.Column("payout_id", sa.Uuid, sa.ForeignKey("payouts.payout_id"), nullable=False),
        sa.Column("attempt_no", sa.Integer, nullable=False),
        sa.Column("approved", JSONB, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("payout_id", "attempt_no"),
    )
    op.execute(
        "INSERT INTO gate_judgements (payout_id, attempt_no, approved, at) "
        "SELECT payout_id, attempt_no, '[]', opened_at FROM attempts"
    )
    append_only(op, "gate_findings")
    append_only(op, "gate_judgements")


def downgrade() -> None:
    """What persons let pass is not forgotten."""
    raise RuntimeError("what gates found and persons approved cannot be forgotten by a migration")
