"""The tables of webhooks. Private to the adapters; created by the migrations, held equal by a test."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from prizewire_chassis.db import chassis_tables

MOMENT = DateTime(timezone=True)
_OPEN = text("state IN ('pending', 'sending')")

metadata = MetaData()
chassis = chassis_tables(metadata)

subscriptions = Table(
    "subscriptions",
    metadata,
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
    Index("subscriptions_listing", "created_at", "subscription_id"),
)
"""Who wants to be told what. It wants the events with ``from_seq`` < seq <= ``until_seq``."""

subscription_secrets = Table(
    "subscription_secrets",
    metadata,
    Column("subscription_id", Uuid, ForeignKey("subscriptions.subscription_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT),
    PrimaryKeyConstraint("subscription_id", "number"),
)
"""Signing secrets, encrypted. All that have not expired sign, the newest first."""

public_events = Table(
    "public_events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    # bytes, since they are what is signed: jsonb would render them anew
    Column("body", LargeBinary, nullable=False),
    Column("taken_at", MOMENT, nullable=False),
)
"""Events of the types that subscribers may ask for, as they are sent."""

deliveries = Table(
    "deliveries",
    metadata,
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
    Index("deliveries_open", "subscription_id", "delivery_id", postgresql_where=_OPEN),
    Index("deliveries_lane", "subscription_id", "correlation_id", "delivery_id", postgresql_where=_OPEN),
    Index("deliveries_listing", "subscription_id", "delivery_id"),
    Index("deliveries_correlation", "correlation_id"),
    Index("deliveries_event", "event_id"),
)
"""One event on its way to one subscription. Ids ascend in the order of a lane."""

attempts = Table(
    "attempts",
    metadata,
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
    Index(
        "attempts_delivered_once", "delivery_id", unique=True, postgresql_where=text("outcome = 'delivered'")
    ),
)
"""Every try: on record before it is made, with its outcome afterwards."""

transitions = Table(
    "transitions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("machine", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("correlation_id", Text),
    Column("at", MOMENT, nullable=False),
    Index("transitions_subject", "machine", "subject", "id"),
)
"""The history of subscriptions and deliveries: one row for each edge taken."""

provider_events = Table(
    "provider_events",
    metadata,
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
"""What providers said, once for each id, with the hash of the body it first came with."""

provider_event_conflicts = Table(
    "provider_event_conflicts",
    metadata,
    Column("provider", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("body_hash", LargeBinary, nullable=False),
    Column("received_at", MOMENT, nullable=False),
    PrimaryKeyConstraint("provider", "event_id", "body_hash"),
)
"""Other bodies that came under an id already used."""
