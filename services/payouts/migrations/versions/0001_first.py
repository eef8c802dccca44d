"""Methods, payouts, attempts and their histories, with the state machines enforced by the database."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from prizewire_chassis.db.schema import append_only, create_chassis_schema_v1, guard_transitions

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PAYOUT_EDGES = (
    ("requested", "approved"),
    ("requested", "held"),
    ("approved", "held"),
    ("held", "approved"),
    ("requested", "closing_rejected"),
    ("held", "closing_rejected"),
    ("requested", "closing_cancelled"),
    ("held", "closing_cancelled"),
    ("approved", "closing_cancelled"),
    ("approved", "submitting"),
    ("approved", "closing_failed"),
    ("submitting", "pending"),
    ("submitting", "unknown"),
    ("pending", "unknown"),
    ("unknown", "pending"),
    ("submitting", "paid"),
    ("pending", "paid"),
    ("unknown", "paid"),
    ("submitting", "approved"),
    ("pending", "approved"),
    ("unknown", "approved"),
    ("submitting", "closing_failed"),
    ("pending", "closing_failed"),
    ("unknown", "closing_failed"),
    ("submitting", "closing_cancelled"),
    ("pending", "closing_cancelled"),
    ("unknown", "closing_cancelled"),
    ("unknown", "closing_rejected"),
    ("closing_rejected", "rejected"),
    ("closing_failed", "failed"),
    ("closing_cancelled", "cancelled"),
    ("closing_rejected", "unknown"),
    ("closing_failed", "unknown"),
    ("closing_cancelled", "unknown"),
    ("paid", "returned"),
)
ATTEMPT_EDGES = (
    ("opened", "sent"),
    ("opened", "no_effect"),
    ("sent", "accepted"),
    ("sent", "ambiguous"),
    ("sent", "effected"),
    ("sent", "no_effect"),
    ("accepted", "ambiguous"),
    ("accepted", "effected"),
    ("accepted", "no_effect"),
    ("ambiguous", "accepted"),
    ("ambiguous", "effected"),
    ("ambiguous", "no_effect"),
    ("effected", "reversed"),
)


def upgrade() -> None:
    create_chassis_schema_v1(op)
    _methods()
    _payouts()
    _attempts()
    _decisions()
    guard_transitions(op, table="payouts", allowed=PAYOUT_EDGES, start=("requested",))
    guard_transitions(op, table="attempts", allowed=ATTEMPT_EDGES, start=("opened",))
    for table in ("payout_method_changes", "payout_transitions", "attempt_transitions", "approvals"):
        append_only(op, table)


def downgrade() -> None:
    msg = "money is not taken back by a migration: restore a backup"
    raise RuntimeError(msg)


def _methods() -> None:
    moment = DateTime(timezone=True)
    op.create_table(
        "payout_methods",
        Column("method_id", Uuid, primary_key=True),
        Column("player", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("rail_type", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("verified", Boolean, nullable=False),
        Column("is_default", Boolean, nullable=False),
        Column("address", Text),
        Column("memo", Text),
        Column("commitment", Text),
        Column("details", LargeBinary, nullable=False),
        Column("details_key", Text, nullable=False),
        Column("destination_mac", LargeBinary, nullable=False),
        Column("registered_at", moment, nullable=False),
        Column("changed_at", moment, nullable=False),
        CheckConstraint("state IN ('active', 'removed')", name="payout_methods_state"),
        CheckConstraint("NOT (is_default AND state = 'removed')", name="payout_methods_default_is_active"),
    )
    op.create_index(
        "payout_methods_default",
        "payout_methods",
        ["player"],
        unique=True,
        postgresql_where=text("is_default"),
    )
    op.create_index("payout_methods_player", "payout_methods", ["player"])
    op.create_index(
        "payout_methods_destination",
        "payout_methods",
        ["player", "destination_mac"],
        unique=True,
        postgresql_where=text("state = 'active'"),
    )
    op.create_index("payout_methods_mac", "payout_methods", ["destination_mac"])
    op.create_table(
        "payout_method_changes",
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("method_id", Uuid, ForeignKey("payout_methods.method_id"), nullable=False),
        Column("version", Integer, nullable=False),
        Column("change", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("at", moment, nullable=False),
        UniqueConstraint("method_id", "version"),
    )


def _payouts() -> None:
    moment = DateTime(timezone=True)
    op.create_table(
        "payouts",
        Column("payout_id", Uuid, primary_key=True),
        Column("correlation_id", Text, nullable=False),
        Column("causation_id", Text, nullable=False),
        Column("player", Text),
        Column("campaign", Text),
        Column("asset", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("method_id", Uuid, ForeignKey("payout_methods.method_id")),
        Column("method_version", Integer),
        Column("method_type", Text, nullable=False),
        Column("rail_type", Text, nullable=False),
        Column("address", Text),
        Column("memo", Text),
        Column("filed_by", Text, nullable=False),
        Column("reward_ids", JSONB, nullable=False),
        Column("intent", JSONB, nullable=False),
        Column("intent_signature", Text, nullable=False),
        Column("intent_expires_at", moment, nullable=False),
        Column("needs_closure", Boolean, nullable=False),
        Column("state", Text, nullable=False),
        Column("rail", Text),
        Column("attempts", Integer, nullable=False),
        Column("code", Text),
        Column("reason", Text),
        Column("ends_as", Text),
        Column("cancel_asked_by", Text),
        Column("cancel_reason", Text),
        Column("cancel_answer", Text),
        Column("hold_no", Integer, nullable=False),
        Column("approvers_needed", Integer, nullable=False),
        Column("expiry_told", Boolean, nullable=False),
        Column("version", Integer, nullable=False),
        Column("close_version", Integer, nullable=False),
        Column("closure", Text),
        Column("due_at", moment),
        Column("polls", Integer, nullable=False),
        Column("provider_ref", Text),
        Column("proof", JSONB),
        Column("fee_minor", BigInteger),
        Column("fee_asset", Text),
        Column("fee_borne_by", Text),
        Column("paid_at", moment),
        Column("return_ref", Text),
        Column("returned_minor", BigInteger),
        Column("requested_at", moment, nullable=False),
        Column("changed_at", moment, nullable=False),
        CheckConstraint("amount_minor > 0", name="payouts_amount"),
        CheckConstraint("returned_minor <= amount_minor", name="payouts_returned"),
        CheckConstraint("state <> 'paid' OR paid_at IS NOT NULL", name="payouts_paid_at"),
        CheckConstraint(
            "NOT needs_closure OR state NOT IN ('failed', 'rejected', 'cancelled') OR closure IS NOT NULL",
            name="payouts_closure",
        ),
    )
    op.create_index(
        "payouts_due", "payouts", ["state", "due_at"], postgresql_where=text("due_at IS NOT NULL")
    )
    op.create_index("payouts_correlation", "payouts", ["correlation_id"])
    op.create_index("payouts_player", "payouts", ["player", "requested_at"])
    op.create_index("payouts_listing", "payouts", ["requested_at", "payout_id"])
    op.create_index("payouts_state", "payouts", ["state", "requested_at"])
    op.create_table(
        "payout_transitions",
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
        Column("from_state", Text, nullable=False),
        Column("to_state", Text, nullable=False),
        Column("cause", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("code", Text),
        Column("correlation_id", Text, nullable=False),
        Column("at", moment, nullable=False),
    )
    op.create_index("payout_transitions_payout", "payout_transitions", ["payout_id", "id"])
    op.create_index("payout_transitions_correlation", "payout_transitions", ["correlation_id"])


def _attempts() -> None:
    moment = DateTime(timezone=True)
    op.create_table(
        "attempts",
        Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
        Column("attempt_no", Integer, nullable=False),
        Column("rail", Text, nullable=False),
        Column("provider_key", Uuid, nullable=False),
        Column("request_hash", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("provider_ref", Text),
        Column("code", Text),
        Column("answer", JSONB),
        Column("opened_at", moment, nullable=False),
        Column("changed_at", moment, nullable=False),
        PrimaryKeyConstraint("payout_id", "attempt_no"),
        UniqueConstraint("provider_key"),
        CheckConstraint("attempt_no >= 1", name="attempts_number"),
    )
    op.create_index(
        "attempts_one_open",
        "attempts",
        ["payout_id"],
        unique=True,
        postgresql_where=text("state IN ('opened', 'sent', 'accepted', 'ambiguous')"),
    )
    op.create_index("attempts_reference", "attempts", ["rail", "provider_ref"])
    op.create_table(
        "attempt_transitions",
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("payout_id", Uuid, nullable=False),
        Column("attempt_no", Integer, nullable=False),
        Column("from_state", Text, nullable=False),
        Column("to_state", Text, nullable=False),
        Column("cause", Text, nullable=False),
        Column("code", Text),
        Column("at", moment, nullable=False),
    )
    op.create_index("attempt_transitions_attempt", "attempt_transitions", ["payout_id", "attempt_no", "id"])


def _decisions() -> None:
    moment = DateTime(timezone=True)
    op.create_table(
        "approvals",
        Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
        Column("hold_no", Integer, nullable=False),
        Column("approver", Text, nullable=False),
        Column("note", Text),
        Column("at", moment, nullable=False),
        PrimaryKeyConstraint("payout_id", "hold_no", "approver"),
    )
    op.create_table(
        "pauses",
        Column("pause_id", Uuid, primary_key=True),
        Column("scope", Text, nullable=False),
        Column("value", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("paused_by", Text, nullable=False),
        Column("paused_at", moment, nullable=False),
        Column("resumed_by", Text),
        Column("resumed_at", moment),
        CheckConstraint("scope IN ('rail', 'asset', 'campaign')", name="pauses_scope"),
    )
    op.create_index(
        "pauses_in_force",
        "pauses",
        ["scope", "value"],
        unique=True,
        postgresql_where=text("resumed_at IS NULL"),
    )
