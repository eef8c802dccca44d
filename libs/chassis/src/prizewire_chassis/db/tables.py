"""The chassis' tables, as each service's metadata carries them."""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB


@dataclass(frozen=True, slots=True)
class ChassisTables:
    """``inbox``: events that were taken in, by (consumer, source, event id), with the hash of their body.
    ``applied_versions``: the last version of each subject that a consumer applied. ``consumer_offsets``: the
    next offset of each partition and the hash of the message before it, for recovery. ``outbox``: events on their way to Kafka. ``stuck_events``: dead
    and parked messages, whole. ``idempotency_keys``: answers by key. ``audit_log``: the hash chain. ``assets``: as
    they were at the first start that knew them.
    """

    inbox: Table
    applied_versions: Table
    consumer_offsets: Table
    outbox: Table
    stuck_events: Table
    idempotency_keys: Table
    audit_log: Table
    assets: Table


def chassis_tables(metadata: MetaData) -> ChassisTables:
    """Add the chassis' tables to a service's metadata. ``schema`` makes them; a test holds both equal."""
    moment = DateTime(timezone=True)
    inbox = Table(
        "inbox",
        metadata,
        Column("consumer", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        Column("received_at", moment, nullable=False),
        PrimaryKeyConstraint("consumer", "source", "event_id"),
    )
    applied = Table(
        "applied_versions",
        metadata,
        Column("consumer", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("version", Integer, nullable=False),
        PrimaryKeyConstraint("consumer", "source", "subject"),
    )
    offsets = Table(
        "consumer_offsets",
        metadata,
        Column("consumer", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("next_offset", BigInteger, nullable=False),
        Column("updated_at", moment, nullable=False),
        Column("last_hash", LargeBinary),
        PrimaryKeyConstraint("consumer", "topic", "partition"),
        CheckConstraint("next_offset >= 0", name="consumer_offsets_next_offset_check"),
    )
    outbox = Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("topic", Text, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("created_at", moment, nullable=False),
        UniqueConstraint("event_id"),
    )
    Table("outbox_waiting", metadata, Column("id", BigInteger, primary_key=True, autoincrement=False))
    stuck = Table(
        "stuck_events",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("consumer", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("event_id", Text),
        Column("source", Text),
        Column("subject", Text),
        Column("type", Text),
        Column("version", Integer),
        Column("correlation_id", Text),
        Column("state", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("detail", Text, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("recorded_at", moment, nullable=False),
        Column("replayed_at", moment),
        Column("replayed_by", Text),
        Column("discarded_at", moment),
        Column("discarded_by", Text),
        Column("discard_reason", Text),
        UniqueConstraint("consumer", "topic", "partition", "offset"),
        Index(
            "stuck_events_parked",
            "consumer",
            "source",
            "subject",
            "id",
            postgresql_where=text("state = 'parked'"),
        ),
        Index("stuck_events_correlation", "correlation_id"),
    )
    keys = Table(
        "idempotency_keys",
        metadata,
        Column("actor", Text, nullable=False),
        Column("route", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("body_hash", LargeBinary, nullable=False),
        Column("status", Integer),
        Column("answer", JSONB),
        Column("created_at", moment, nullable=False),
        PrimaryKeyConstraint("actor", "route", "key"),
    )
    audit = Table(
        "audit_log",
        metadata,
        Column("sequence", BigInteger, primary_key=True, autoincrement=False),
        Column("at", moment, nullable=False),
        Column("actor", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("reason", Text),
        Column("detail", JSONB, nullable=False),
        Column("correlation_id", Text, nullable=False),
        Column("prev_hash", Text, nullable=False),
        Column("hash", Text, nullable=False),
    )
    assets = Table(
        "assets",
        metadata,
        Column("code", Text, primary_key=True),
        Column("decimals", Integer, nullable=False),
        Column("redeemable", Boolean, nullable=False),
    )
    return ChassisTables(inbox, applied, offsets, outbox, stuck, keys, audit, assets)
