"""Subscriptions, deliveries, attempts and providers' events, with the state machines enforced by the database."""

from alembic import op
from sqlalchemy import (
    ARRAY,
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

from prizewire_chassis.db.schema import append_only, create_chassis_schema_v1, guard_transitions

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SUBSCRIPTION_EDGES = (
    ("active", "failing"),
    ("failing", "active"),
    ("active", "disabled"),
    ("failing", "disabled"),
    ("active", "deleted"),
    ("failing", "deleted"),
    ("disabled", "deleted"),
)
DELIVERY_EDGES = (
    ("pending", "sending"),
    ("sending", "delivered"),
    ("sending", "pending"),
    ("sending", "dead"),
    ("sending", "dropped"),
    ("pending", "dead"),
    ("pending", "dropped"),
)
MOMENT = DateTime(timezone=True)
OPEN = text("state IN ('pending', 'sending')")


def upgrade() -> None:
    create_chassis_schema_v1(op)
    _subscriptions()
    _deliveries()
    _history()
    _providers()
    guard_transitions(op, table="subscriptions", allowed=SUBSCRIPTION_EDGES, start=("active",))
    guard_transitions(op, table="deliveries", allowed=DELIVERY_EDGES, start=("pending",))
    for table in ("public_events", "transitions", "provider_events", "provider_event_conflicts"):
        append_only(op, table)


def downgrade() -> None:
    msg = "what was delivered is not forgotten by a migration: restore a backup"
    raise RuntimeError(msg)


def _subscriptions() -> None:
    op.create_table(
        "subscriptions",
        Column("subscription_id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("url", Text, nullable=False),
        Column("event_types", ARRAY(Text), nullable=False),
        Column("description", Text),
        Column("state", Text, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("probe_at", MOMENT),
        Column("reason", Text),
        Column("from_seq", BigInteger, nullable=False),
        Column("until_seq", BigInteger),
        Column("created_at", MOMENT, nullable=False),
        Column("changed_at", MOMENT, nullable=False),
        CheckConstraint("(state = 'failing') = (probe_at IS NOT NULL)", name="subscriptions_probe"),
        CheckConstraint(
            "(state IN ('disabled', 'deleted')) = (until_seq IS NOT NULL)", name="subscriptions_ended"
        ),
    )
    op.create_index("subscriptions_listing", "subscriptions", ["created_at", "subscription_id"])
    op.create_table(
        "subscription_secrets",
        Column("subscription_id", Uuid, ForeignKey("subscriptions.subscription_id"), nullable=False),
        Column("number", Integer, nullable=False),
        Column("key_id", Text, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("created_at", MOMENT, nullable=False),
        Column("expires_at", MOMENT),
        PrimaryKeyConstraint("subscription_id", "number"),
    )


def _deliveries() -> None:
    op.create_table(
        "public_events",
        Column("event_id", Text, primary_key=True),
        Column("seq", BigInteger, Identity(always=True), nullable=False, unique=True),
        Column("source", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("correlation_id", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("taken_at", MOMENT, nullable=False),
    )
    op.create_table(
        "deliveries",
        Column("delivery_id", BigInteger, Identity(always=True), primary_key=True),
        Column("subscription_id", Uuid, ForeignKey("subscriptions.subscription_id"), nullable=False),
        Column("event_id", Text, ForeignKey("public_events.event_id"), nullable=False),
        Column("correlation_id", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("refusals", Integer, nullable=False),
        Column("due_at", MOMENT, nullable=False),
        Column("give_up_at", MOMENT, nullable=False),
        Column("lease_until", MOMENT),
        Column("created_at", MOMENT, nullable=False),
        Column("changed_at", MOMENT, nullable=False),
        UniqueConstraint("subscription_id", "event_id"),
        CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="deliveries_lease"),
    )
    op.create_index(
        "deliveries_open", "deliveries", ["subscription_id", "delivery_id"], postgresql_where=OPEN
    )
    op.create_index(
        "deliveries_lane",
        "deliveries",
        ["subscription_id", "correlation_id", "delivery_id"],
        postgresql_where=OPEN,
    )
    op.create_index("deliveries_listing", "deliveries", ["subscription_id", "delivery_id"])
    op.create_index("deliveries_correlation", "deliveries", ["correlation_id"])
    op.create_index("deliveries_event", "deliveries", ["event_id"])


def _history() -> None:
    op.create_table(
        "attempts",
        Column("delivery_id", BigInteger, ForeignKey("deliveries.delivery_id"), nullable=False),
        Column("number", Integer, nullable=False),
        Column("probe", Boolean, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("status", Integer),
        Column("code", Text),
        Column("latency_ms", Integer),
        Column("response", Text),
        Column("started_at", MOMENT, nullable=False),
        Column("finished_at", MOMENT),
        PrimaryKeyConstraint("delivery_id", "number"),
        CheckConstraint(
            "outcome IN ('open', 'delivered', 'refused', 'failed', 'gone', 'lost')", name="attempts_outcome"
        ),
        CheckConstraint("(outcome = 'open') = (finished_at IS NULL)", name="attempts_finished"),
    )
    op.create_index(
        "attempts_delivered_once",
        "attempts",
        ["delivery_id"],
        unique=True,
        postgresql_where=text("outcome = 'delivered'"),
    )
    op.create_table(
        "transitions",
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("machine", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("from_state", Text, nullable=False),
        Column("to_state", Text, nullable=False),
        Column("cause", Text, nullable=False),
        Column("correlation_id", Text),
        Column("at", MOMENT, nullable=False),
    )
    op.create_index("transitions_subject", "transitions", ["machine", "subject", "id"])


def _providers() -> None:
    op.create_table(
        "provider_events",
        Column("provider", Text, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("rail", Text, nullable=False),
        Column("event_type", Text, nullable=False),
        Column("provider_key", Uuid),
        Column("provider_ref", Text),
        Column("body_hash", LargeBinary, nullable=False),
        Column("received_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("provider", "event_id"),
    )
    op.create_table(
        "provider_event_conflicts",
        Column("provider", Text, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("body_hash", LargeBinary, nullable=False),
        Column("received_at", MOMENT, nullable=False),
        PrimaryKeyConstraint("provider", "event_id", "body_hash"),
    )
