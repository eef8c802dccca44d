"""Times of gates, players' facts and new methods lie in the calendar that Python can read."""

from alembic import op

from prizewire_chassis.db.schema import bound_times

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bound_times(op, "gate_judgements", "at")
    bound_times(op, "gate_findings", "at")
    bound_times(op, "players", "changed_at", stated=("kyc_expires_at", "kyc_reported_at", "tax_reported_at"))
    op.execute(
        "-- squawk-ignore ban-drop-constraint\nALTER TABLE payout_methods DROP CONSTRAINT payout_methods_usable_from_times"
    )
    op.execute(
        "-- squawk-ignore ban-drop-constraint\nALTER TABLE payout_methods DROP CONSTRAINT payout_methods_times"
    )
    bound_times(op, "payout_methods", "registered_at", "changed_at", "usable_from")


def downgrade() -> None:
    for table in ("gate_judgements", "gate_findings", "players"):
        op.execute(f"-- squawk-ignore ban-drop-constraint\nALTER TABLE {table} DROP CONSTRAINT {table}_times")
