"""The database refuses times that the service cannot read and counters that cannot rise: one row stopped the worker."""

from alembic import op

from prizewire_chassis.db.schema import (
    bound_counters,
    bound_times,
    create_chassis_schema_v6,
    drop_chassis_schema_v6,
    unbound,
)

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TIMES = {
    "approvals": ("at",),
    "attempt_transitions": ("at",),
    "attempts": (
        "opened_at",
        "changed_at",
    ),
    "pauses": (
        "paused_at",
        "resumed_at",
    ),
    "payout_method_changes": ("at",),
    "payout_methods": (
        "registered_at",
        "changed_at",
    ),
    "payout_transitions": ("at",),
    "payouts": (
        "intent_expires_at",
        "due_at",
        "paid_at",
        "requested_at",
        "changed_at",
        "stored_at",
    ),
    "stellar_attempts": (
        "due_at",
        "leased_at",
        "changed_at",
    ),
    "stellar_channels": (
        "leased_at",
        "rest_until",
    ),
    "stellar_evidence": (
        "filed_at",
        "decided_at",
    ),
    "stellar_payments": (
        "due_at",
        "queued_at",
        "changed_at",
    ),
    "stellar_signing_results": ("at",),
    "stellar_slots": (
        "opened_at",
        "closed_at",
    ),
    "stellar_transitions": ("at",),
}
DAYS = {
    "automatic_use": ("day",),
}
COUNTERS = {
    "payout_methods": ("version",),
    "payouts": (
        "attempts",
        "attempts_waived",
        "hold_no",
        "approvers_needed",
        "version",
        "close_version",
        "polls",
    ),
    "stellar_attempts": (
        "revision",
        "sent_ledger",
        "asked_ledger",
        "result_ledger",
    ),
    "stellar_items": ("op",),
    "stellar_payments": (
        "rebuilds",
        "refusals",
        "ledger",
        "op",
    ),
    "stellar_slots": (
        "version",
        "ledger",
    ),
}
CHECKS = {
    "payouts_ends_as": "ends_as IN ('closing_rejected', 'closing_failed', 'closing_cancelled')",
    "payouts_fee_whole": "(fee_minor IS NULL) = (fee_asset IS NULL) AND fee_minor >= 0",
    "payouts_fee_borne_by": "fee_borne_by IN ('platform', 'recipient')",
    "payouts_returned_minor": "returned_minor >= 0",
}
ASSETS = ("asset", "fee_asset")


def upgrade() -> None:
    create_chassis_schema_v6(op)
    for table in TIMES.keys() | DAYS.keys():
        bound_times(op, table, *TIMES.get(table, ()), days=DAYS.get(table, ()))
    for table, columns in COUNTERS.items():
        bound_counters(op, table, *columns)
    for name, check in CHECKS.items():
        op.execute(f"ALTER TABLE payouts ADD CONSTRAINT {name} CHECK ({check}) NOT VALID")
    for column in ASSETS:
        op.execute(
            f"ALTER TABLE payouts ADD CONSTRAINT payouts_{column}_fkey FOREIGN KEY ({column}) REFERENCES assets (code) NOT VALID"
        )


def downgrade() -> None:
    """No row changes."""
    for name in (*CHECKS, *(f"payouts_{column}_fkey" for column in ASSETS)):
        op.execute(f"ALTER TABLE payouts DROP CONSTRAINT {name}")
    unbound(op, times=TIMES.keys() | DAYS.keys(), counters=COUNTERS)
    drop_chassis_schema_v6(op)
