"""The signer's tables. Private to the adapters; created by the migrations, held equal by a test."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
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
from sqlalchemy.dialects.postgresql import JSONB

from prizewire_chassis.db import chassis_tables

MOMENT = DateTime(timezone=True)

metadata = MetaData()
chassis = chassis_tables(metadata)
# what was refused is summed up by kind
Index("stuck_events_reasons", chassis.stuck_events.c.state, chassis.stuck_events.c.reason)

signing_work = Table(
    "signing_work",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False),
    # canonical JSON as bytes: jsonb would refuse some strings that JSON allows
    Column("payload", LargeBinary, nullable=False),
    Column("event_time", MOMENT, nullable=False),
    Column("received_at", MOMENT, nullable=False),
    Column("state", Text, nullable=False),
    Column("tx_hash", LargeBinary),
    Column("ready_at", MOMENT, nullable=False),
    Column("finished_at", MOMENT),
    CheckConstraint("(state IN ('recorded', 'completed')) = (tx_hash IS NOT NULL)", name="signing_work_hash"),
    Index("signing_work_due", "id", postgresql_where=text("state IN ('queued', 'recorded')")),
)
"""Signing requests as they came, and how far each has come."""

slots = Table(
    "slots",
    metadata,
    Column("slot_id", Uuid, primary_key=True),
    Column("chain", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("consumed_by", LargeBinary),
    Column("ledger", BigInteger),
    UniqueConstraint("chain", "account", "sequence"),
    CheckConstraint("(state = 'open') = (ledger IS NULL)", name="slots_closed_at_ledger"),
    # an expired slot may name the foreign transaction that consumed it
    CheckConstraint(
        "state = 'expired' OR (state = 'open') = (consumed_by IS NULL)", name="slots_consumed_by"
    ),
)

payouts = Table(
    "payouts",
    metadata,
    Column("payout_id", Uuid, primary_key=True),
    Column("state", Text, nullable=False),
    Column("slot_id", Uuid, ForeignKey("slots.slot_id")),
    Column("slots_used", Integer, nullable=False),
    Column("terms", LargeBinary),
    Column("asset", Text),
    Column("amount_minor", BigInteger),
    Column("counted_on", Date),
    # set when the slot is closed without paying it: until then a digest signed there might be applied
    Column("free_at", MOMENT),
    CheckConstraint("free_at IS NULL OR state = 'bound'", name="payouts_free_at"),
    CheckConstraint("(state IN ('bound', 'paid')) = (slot_id IS NOT NULL)", name="payouts_slot"),
    CheckConstraint(
        "state = 'tombstoned' OR (terms IS NOT NULL AND asset IS NOT NULL AND amount_minor > 0 "
        "AND counted_on IS NOT NULL)",
        name="payouts_terms",
    ),
    Index("payouts_slot_id", "slot_id"),
    Index("payouts_counted_on", "counted_on", "asset"),
    Index("payouts_free_at", "free_at", postgresql_where=text("free_at IS NOT NULL")),
)
"""Each payout that was ever bound or tombstoned: the binding that makes a second payment impossible."""

digests = Table(
    "digests",
    metadata,
    Column("tx_hash", LargeBinary, primary_key=True),
    Column("slot_id", Uuid, ForeignKey("slots.slot_id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("work_id", BigInteger, ForeignKey("signing_work.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("max_time", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("fee_cap", BigInteger, nullable=False),
    # what payouts approved, beside what is signed
    Column("approval", JSONB, nullable=False),
    Column("recorded_at", MOMENT, nullable=False),
    CheckConstraint("fee <= fee_cap", name="digests_fee"),
    Index("digests_slot_id", "slot_id"),
)

digest_payouts = Table(
    "digest_payouts",
    metadata,
    Column("tx_hash", LargeBinary, ForeignKey("digests.tx_hash"), nullable=False),
    Column("op", Integer, nullable=False),
    Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
    PrimaryKeyConstraint("tx_hash", "op"),
    UniqueConstraint("tx_hash", "payout_id"),
    Index("digest_payouts_payout_id", "payout_id"),
)

signatures = Table(
    "signatures",
    metadata,
    Column("tx_hash", LargeBinary, ForeignKey("digests.tx_hash"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signed_at", MOMENT, nullable=False),
    PrimaryKeyConstraint("tx_hash", "position"),
    UniqueConstraint("tx_hash", "public_key"),
)

limit_use = Table(
    "limit_use",
    metadata,
    # `day`: all that was signed; `again`: the part of it that was signed before on another slot
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("window_start", Date, nullable=False),
    Column("asset", Text, nullable=False),
    Column("used_minor", BigInteger, nullable=False),
    Column("ceiling_minor", BigInteger, nullable=False),
    PrimaryKeyConstraint("scope", "key", "window_start", "asset"),
    CheckConstraint("used_minor BETWEEN 0 AND ceiling_minor", name="limit_use_ceiling"),
)

limit_counts = Table(
    "limit_counts",
    metadata,
    Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
    Column("slot_id", Uuid, ForeignKey("slots.slot_id"), nullable=False),
    Column("day", Date, nullable=False),
    Column("asset", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("again", Boolean, nullable=False),
    PrimaryKeyConstraint("payout_id", "slot_id", "day"),
    Index("limit_counts_day", "day", "asset"),
)
"""What was counted into the limits of a day: each payout once for each slot on which it was signed that day."""

transitions = Table(
    "transitions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("machine", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    Index("transitions_subject", "machine", "subject", "id"),
)
"""History of slots and payouts: every edge taken, with the event that caused it."""

answers = Table(
    "answers",
    metadata,
    Column("counter", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    UniqueConstraint("cause"),
)
"""Answers that carry a counter. One for each cause: a request is never answered twice."""

watermark = Table(
    "watermark",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("counter", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="watermark_single"),
)

told_refusals = Table(
    "told_refusals",
    metadata,
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("told_at", MOMENT, nullable=False),
    PrimaryKeyConstraint("state", "reason"),
)
"""How many messages of each kind were refused when that was last told."""

versions = Table(
    "answer_versions",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""How many events the signer has published about each slot or payout."""
