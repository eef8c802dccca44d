"""The tables of the Stellar execution, in the payouts database. Private to this folder.

Workers find their work by ``due_at``, the next moment at which somebody must look at a payment or an attempt.
Amounts and fees are stroops (ten-millionths), ``max_time`` is Unix seconds, all other times come from the clock.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from prizewire_payouts.payouts.storage.tables import metadata

_moment = DateTime(timezone=True)
_HOLDING = "state IN ('leased', 'built', 'exported', 'signed', 'sent', 'checking', 'review')"

channels = Table(
    "stellar_channels",
    metadata,
    Column("account", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # the highest that a closed slot of ours had
    Column("leased_at", _moment),
    Column("rest_until", _moment),  # not to be leased before: its account is unfit, or the signer refuses it
    Column("rest_reason", Text),
)

slots = Table(
    "stellar_slots",
    metadata,
    Column("slot_id", Uuid, primary_key=True),
    Column("account", Text, ForeignKey("stellar_channels.account"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),  # counts the signing.* events of this slot
    Column("opened_at", _moment, nullable=False),
    Column("closed_at", _moment),
    Column("consumed_by_hash", Text),
    Column("result", Text),
    Column("ledger", Integer),
    UniqueConstraint("account", "sequence"),
    CheckConstraint("state IN ('open', 'closed')", name="stellar_slots_state"),
    CheckConstraint(
        "state = 'open' OR (result IS NOT NULL AND ledger IS NOT NULL AND closed_at IS NOT NULL)",
        name="stellar_slots_closed",
    ),
    Index("stellar_slots_one_open", "account", unique=True, postgresql_where=text("state = 'open'")),
)

attempts = Table(
    "stellar_attempts",
    metadata,
    Column("attempt_id", BigInteger, Identity(always=True), primary_key=True),
    Column("account", Text, ForeignKey("stellar_channels.account"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("memo", Text, nullable=False),  # empty for none
    Column("state", Text, nullable=False),
    Column("slot_id", Uuid, ForeignKey("stellar_slots.slot_id")),
    Column("revision", Integer),
    Column("tx_hash", Text),
    Column("unsigned_xdr", Text),
    Column("signed_xdr", Text),
    Column("fee", BigInteger),
    Column("fee_cap", BigInteger),
    Column("max_time", BigInteger),
    Column("sent_ledger", Integer),  # the latest ledger when it was first sent
    Column("asked_ledger", Integer),  # the latest ledger when it was last sent
    Column("result_xdr", Text),
    Column("result_ledger", Integer),
    Column("fee_charged", BigInteger),
    Column("due_at", _moment),
    Column("leased_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    UniqueConstraint("slot_id", "revision"),
    UniqueConstraint("tx_hash"),
    CheckConstraint("kind IN ('payment', 'void_slot')", name="stellar_attempts_kind"),
    CheckConstraint(
        "state IN ('leased', 'released') OR (slot_id IS NOT NULL AND revision IS NOT NULL AND tx_hash IS NOT NULL "
        "AND unsigned_xdr IS NOT NULL AND max_time IS NOT NULL)",
        name="stellar_attempts_built",
    ),
    CheckConstraint(
        "state <> 'sent' OR (signed_xdr IS NOT NULL AND sent_ledger IS NOT NULL)",
        name="stellar_attempts_sent",
    ),
    CheckConstraint(
        "state NOT IN ('succeeded', 'failed') OR result_ledger IS NOT NULL", name="stellar_attempts_result"
    ),
    Index("stellar_attempts_channel", "account", unique=True, postgresql_where=text(_HOLDING)),
    Index("stellar_attempts_due", "state", "due_at", postgresql_where=text(_HOLDING)),
)

payments = Table(
    "stellar_payments",
    metadata,
    Column("provider_key", Uuid, primary_key=True),
    Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
    Column("attempt_no", Integer, nullable=False),
    Column("rail", Text, nullable=False),
    Column("asset", Text),
    Column("amount_minor", BigInteger),
    Column("stroops", BigInteger),
    Column("destination", Text),  # G… or M…; NULL only where it never could be paid
    Column("account", Text),  # the G… behind it
    Column("memo", Text, nullable=False),  # empty for none
    Column("state", Text, nullable=False),
    Column("attempt_id", BigInteger, ForeignKey("stellar_attempts.attempt_id")),
    Column("offered", Boolean, nullable=False),  # the signer was asked to sign for it, once or more
    Column("code", Text),
    Column("rebuilds", Integer, nullable=False),  # transactions that failed for another's fault
    Column("refusals", Integer, nullable=False),  # requests that the signer refused as a whole
    Column("ledger", Integer),
    Column("op", Integer),
    Column("fee", BigInteger),
    Column("due_at", _moment, nullable=False),
    Column("queued_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    UniqueConstraint("payout_id", "attempt_no"),
    CheckConstraint(
        "state = 'no_effect' OR (asset IS NOT NULL AND stroops > 0 AND destination IS NOT NULL "
        "AND account IS NOT NULL)",
        name="stellar_payments_complete",
    ),
    CheckConstraint(
        "(state IN ('batched', 'paid')) = (attempt_id IS NOT NULL) OR state = 'no_effect'",
        name="stellar_payments_attempt",
    ),
    CheckConstraint(
        "state <> 'paid' OR (ledger IS NOT NULL AND op IS NOT NULL)", name="stellar_payments_proof"
    ),
    CheckConstraint("state <> 'no_effect' OR code IS NOT NULL", name="stellar_payments_code"),
    Index(
        "stellar_payments_one_live",
        "payout_id",
        unique=True,
        postgresql_where=text("state IN ('queued', 'batched', 'paid')"),
    ),
    Index("stellar_payments_queue", "due_at", postgresql_where=text("state = 'queued'")),
    Index("stellar_payments_group", "memo", "due_at", postgresql_where=text("state = 'queued'")),
    Index("stellar_payments_attempt_id", "attempt_id"),
)

items = Table(
    "stellar_items",
    metadata,
    Column("attempt_id", BigInteger, ForeignKey("stellar_attempts.attempt_id"), nullable=False),
    Column("provider_key", Uuid, ForeignKey("stellar_payments.provider_key"), nullable=False),
    Column("op", Integer),  # the index of its operation; NULL while leased, and where it was left out
    Column("code", Text),  # why it was left out, or how it failed
    PrimaryKeyConstraint("attempt_id", "provider_key"),
    Index("stellar_items_op", "attempt_id", "op", unique=True, postgresql_where=text("op IS NOT NULL")),
    Index("stellar_items_payment", "provider_key"),
)

transitions = Table(
    "stellar_transitions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("attempt_id", BigInteger, ForeignKey("stellar_attempts.attempt_id"), nullable=False),
    Column("from_state", Text, nullable=False),  # empty at birth
    Column("to_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("cause", Text, nullable=False),  # event id, ledger, or what a worker found
    Column("at", _moment, nullable=False),
    Index("stellar_transitions_attempt", "attempt_id", "id"),
)

evidence = Table(
    "stellar_evidence",
    metadata,
    Column("evidence_id", Uuid, primary_key=True),
    Column("attempt_id", BigInteger, ForeignKey("stellar_attempts.attempt_id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("tx_hash", Text),  # what consumed the slot, as far as it is known
    Column("ledger", Integer),
    Column("found", Text, nullable=False),  # what was found, and where others can see it
    Column("reason", Text, nullable=False),
    Column("filed_by", Text, nullable=False),
    Column("filed_at", _moment, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", _moment),
    Column("note", Text),
    CheckConstraint(
        "outcome = 'failed' OR (outcome = 'succeeded' AND tx_hash IS NOT NULL AND ledger IS NOT NULL)",
        name="stellar_evidence_outcome",
    ),
    CheckConstraint(
        "(state = 'filed') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)",
        name="stellar_evidence_decided",
    ),
    CheckConstraint("state <> 'confirmed' OR decided_by <> filed_by", name="stellar_evidence_two_persons"),
    Index(
        "stellar_evidence_one",
        "attempt_id",
        unique=True,
        postgresql_where=text("state IN ('filed', 'confirmed')"),
    ),
    Index("stellar_evidence_attempt", "attempt_id", "filed_at"),
)

signing_results = Table(
    "stellar_signing_results",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),  # slot id or payout id
    Column("correlation_id", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("event", JSONB, nullable=False),  # signed by the signer, whole
    Index("stellar_signing_results_subject", "subject"),
    Index("stellar_signing_results_correlation", "correlation_id"),
)
