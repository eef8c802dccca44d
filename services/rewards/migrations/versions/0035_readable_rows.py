"""The database refuses times that the service cannot read and counters that cannot rise: one row stopped the worker."""

from alembic import op

from prizewire_chassis.db.schema import (
    bound_counters,
    bound_times,
    create_chassis_schema_v6,
    drop_chassis_schema_v6,
    unbound,
)

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

TIMES = {
    "auto_withdrawals": (
        "next_at",
        "noted_at",
        "created_at",
        "changed_at",
    ),
    "campaign_settings": ("at",),
    "campaigns": ("created_at",),
    "claims": (
        "deadline",
        "opened_at",
        "claimed_at",
        "decided_at",
    ),
    "corrections": ("at",),
    "disowned_events": ("at",),
    "entries": (
        "entered_at",
        "changed_at",
        "stored_at",
    ),
    "entry_rounds": (
        "known_at",
        "changed_at",
    ),
    "fee_withdrawals": (
        "filed_at",
        "decided_at",
    ),
    "funding_accounts": ("created_at",),
    "ledger_accounts": ("opened_at",),
    "ledger_transfers": ("at",),
    "money_in": ("at",),
    "payout_methods": ("changed_at",),
    "payouts": (
        "requested_at",
        "changed_at",
        "stored_at",
    ),
    "receivables": ("opened_at",),
    "rewards": ("settled_at",),
    "round_disownments": (
        "filed_at",
        "decided_at",
        "settlement_voided_at",
    ),
    "round_refusals": ("at",),
    "round_work": ("begun_at",),
    "rounds": (
        "final_at",
        "settled_at",
        "changed_at",
        "stored_at",
    ),
    "staged_parts": ("staged_at",),
    "topup_reversals": (
        "reversed_at",
        "changed_at",
    ),
    "topups": (
        "credited_at",
        "changed_at",
    ),
    "transitions": ("at",),
}
DAYS = {
    "cap_lines": ("day",),
}
COUNTERS = {
    "auto_withdrawals": ("attempts",),
    "campaigns": (
        "queued",
        "queue_tail",
        "version",
        "settings_version",
    ),
    "claims": ("version",),
    "entries": ("version",),
    "payouts": ("version",),
    "receivables": ("version",),
    "rewards": ("payout_ordinal",),
    "rounds": ("version",),
    "topups": ("version",),
}
# A game says when a player registered, and the times of what it says of players are its own.
STATED = (
    "registered_at",
    "registered_at_told",
    "kyc_state_told",
    "device_hash_told",
    "address_hash_told",
    "changed_at",
)


def upgrade() -> None:
    create_chassis_schema_v6(op)
    for table in TIMES.keys() | DAYS.keys():
        bound_times(op, table, *TIMES.get(table, ()), days=DAYS.get(table, ()))
    bound_times(op, "players", stated=STATED)
    for table, columns in COUNTERS.items():
        bound_counters(op, table, *columns)


def downgrade() -> None:
    """No row changes."""
    unbound(op, times=(*(TIMES.keys() | DAYS.keys()), "players"), counters=COUNTERS)
    drop_chassis_schema_v6(op)
