"""The payouts database. Private to the adapters; amounts are bigint minor units, times come from the clock.

Workers find their work by ``payouts.due_at``: the next moment at which somebody must look at the payout (submit
it, ask its rail, give it up), NULL when nothing is to be done. Whoever learns that there is news of a payout
sets ``due_at`` to the present moment, in the transaction that stores the news, and wakes the sync job.
"""

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

metadata = MetaData()
chassis = chassis_tables(metadata)

_moment = DateTime(timezone=True)

methods = Table(
    "payout_methods",
    metadata,
    Column("method_id", Uuid, primary_key=True),
    Column("player", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("rail_type", Text, nullable=False),
    Column("version", Integer, nullable=False),  # counts the method.* events of this method
    Column("state", Text, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("address", Text),  # in clear for on-chain rails only, as in the intent
    Column("memo", Text),
    Column("commitment", Text),  # for all other rails
    Column("details", LargeBinary, nullable=False),  # AES-256-GCM: nonce ‖ ciphertext of {salt, details}
    Column("details_key", Text, nullable=False),  # which key encrypted them
    Column(
        "destination_mac", LargeBinary, nullable=False
    ),  # keyed, to find one destination at several players
    Column("registered_by", Text, nullable=False, server_default=""),  # the player, or somebody of the staff
    Column("registered_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    CheckConstraint("registered_by <> ''", name="payout_methods_registered_by"),
    CheckConstraint("state IN ('active', 'removed')", name="payout_methods_state"),
    CheckConstraint("NOT (is_default AND state = 'removed')", name="payout_methods_default_is_active"),
    Index("payout_methods_default", "player", unique=True, postgresql_where=text("is_default")),
    Index("payout_methods_player", "player"),
    Index(
        "payout_methods_destination",
        "player",
        "destination_mac",
        unique=True,
        postgresql_where=text("state = 'active'"),
    ),
    Index("payout_methods_mac", "destination_mac"),
)

method_changes = Table(
    "payout_method_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("method_id", Uuid, ForeignKey("payout_methods.method_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("change", Text, nullable=False),  # registered, defaulted, removed
    Column("actor", Text, nullable=False),
    Column("at", _moment, nullable=False),
    UniqueConstraint("method_id", "version"),
)

payouts = Table(
    "payouts",
    metadata,
    Column("payout_id", Uuid, primary_key=True),
    Column("correlation_id", Text, nullable=False),
    Column("causation_id", Text, nullable=False),  # the event that requested it
    Column("player", Text),  # NULL for an operator's payout
    Column("campaign", Text),
    Column("asset", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("method_id", Uuid, ForeignKey("payout_methods.method_id")),
    Column("method_version", Integer),
    Column("method_type", Text, nullable=False),
    Column("rail_type", Text, nullable=False),
    Column("address", Text),  # as the intent allows it, for on-chain rails
    Column("memo", Text),
    Column("filed_by", Text, nullable=False),
    Column("reward_ids", JSONB, nullable=False),
    Column("sources", JSONB, nullable=False, server_default=text("'[]'")),  # parties: [role, subject], …
    Column("one_person", JSONB, nullable=False, server_default=text("'[]'")),  # who alone said who is paid
    Column("intent", JSONB, nullable=False),  # prizewire_contracts.intents.Intent, whole
    Column("intent_signature", Text, nullable=False),
    Column("intent_expires_at", _moment, nullable=False),
    Column("needs_closure", Boolean, nullable=False),  # the intent allows a rail that the signer serves
    Column("state", Text, nullable=False),
    Column("rail", Text),  # configured name, chosen when approved
    Column("attempts", Integer, nullable=False),
    Column("attempts_waived", Integer, nullable=False, server_default="0"),  # of these, not counted
    Column("code", Text),  # why it is held, unknown or closed
    Column("reason", Text),  # in a person's words
    Column("ends_as", Text),  # the closing it goes back to once a refused close is proved without effect
    Column("cancel_asked_by", Text),
    Column("cancel_code", Text),
    Column("cancel_reason", Text),
    Column("cancel_answer", Text),
    Column("hold_no", Integer, nullable=False),
    Column("approvers_needed", Integer, nullable=False),
    Column("expiry_told", Boolean, nullable=False),
    Column("version", Integer, nullable=False),  # counts the payout.* events
    Column("close_version", Integer, nullable=False),  # counts the signing.close_requested events
    Column("closure", Text),  # the signer's signed event, whole
    Column("due_at", _moment),
    Column("polls", Integer, nullable=False),
    Column("provider_ref", Text),
    Column("proof", JSONB),
    Column("fee_minor", BigInteger),
    Column("fee_asset", Text),
    Column("fee_borne_by", Text),
    Column("paid_at", _moment),
    Column("return_ref", Text),
    Column("returned_minor", BigInteger),
    Column("requested_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    Column(
        "stored_at", _moment, nullable=False, server_default=text("now()")
    ),  # by the database, at each write
    CheckConstraint("amount_minor > 0", name="payouts_amount"),
    CheckConstraint("returned_minor <= amount_minor", name="payouts_returned"),
    CheckConstraint("attempts_waived BETWEEN 0 AND attempts", name="payouts_attempts_waived"),
    CheckConstraint("state <> 'paid' OR paid_at IS NOT NULL", name="payouts_paid_at"),
    CheckConstraint("(cancel_asked_by IS NULL) = (cancel_code IS NULL)", name="payouts_cancel_code"),
    CheckConstraint(
        "NOT needs_closure OR state NOT IN ('failed', 'rejected', 'cancelled') OR closure IS NOT NULL",
        name="payouts_closure",
    ),
    Index("payouts_due", "state", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("payouts_correlation", "correlation_id"),
    Index("payouts_player", "player", "requested_at"),
    Index("payouts_listing", "requested_at", "payout_id"),
    Index("payouts_state", "state", "requested_at"),
    Index("payouts_rail", "rail", "requested_at", "payout_id"),
    Index("payouts_asset", "asset", "requested_at", "payout_id"),
    Index("payouts_method", "method_id", "requested_at", "payout_id"),
    Index("payouts_stored", "stored_at", "payout_id"),
)

payout_transitions = Table(
    "payout_transitions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("cause", Text, nullable=False),  # event id, or what a worker or person did
    Column("actor", Text, nullable=False),
    Column("code", Text),
    Column("correlation_id", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Index("payout_transitions_payout", "payout_id", "id"),
    Index("payout_transitions_correlation", "correlation_id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
    Column("attempt_no", Integer, nullable=False),
    Column("rail", Text, nullable=False),
    Column("provider_key", Uuid, nullable=False),
    Column("request_hash", Text, nullable=False),  # SHA-256 of what was asked, details as their commitment
    Column("state", Text, nullable=False),
    Column("provider_ref", Text),
    Column("code", Text),
    Column("answer", JSONB),  # redacted: outcome, code, reference, proof
    Column("opened_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    PrimaryKeyConstraint("payout_id", "attempt_no"),
    UniqueConstraint("provider_key"),
    CheckConstraint("attempt_no >= 1", name="attempts_number"),
    Index(
        "attempts_one_open",
        "payout_id",
        unique=True,
        postgresql_where=text("state IN ('opened', 'sent', 'accepted', 'ambiguous')"),
    ),
    Index("attempts_reference", "rail", "provider_ref"),
)

attempt_transitions = Table(
    "attempt_transitions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("payout_id", Uuid, nullable=False),
    Column("attempt_no", Integer, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("code", Text),
    Column("at", _moment, nullable=False),
    Index("attempt_transitions_attempt", "payout_id", "attempt_no", "id"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("payout_id", Uuid, ForeignKey("payouts.payout_id"), nullable=False),
    Column("hold_no", Integer, nullable=False),
    Column("approver", Text, nullable=False),
    Column("note", Text),
    Column("at", _moment, nullable=False),
    PrimaryKeyConstraint("payout_id", "hold_no", "approver"),
)

automatic_use = Table(
    "automatic_use",
    metadata,
    Column("day", Date, nullable=False),  # UTC
    Column("asset", Text, nullable=False),
    Column(
        "used_minor", BigInteger, nullable=False, server_default="0"
    ),  # approved without a person; only rises
    PrimaryKeyConstraint("day", "asset"),
    CheckConstraint("used_minor >= 0", name="automatic_use_minor"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("pause_id", Uuid, primary_key=True),
    Column("scope", Text, nullable=False),  # rail, asset or campaign
    Column("value", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("paused_by", Text, nullable=False),
    Column("paused_at", _moment, nullable=False),
    Column("resumed_by", Text),
    Column("resumed_at", _moment),
    CheckConstraint("scope IN ('rail', 'asset', 'campaign')", name="pauses_scope"),
    Index("pauses_in_force", "scope", "value", unique=True, postgresql_where=text("resumed_at IS NULL")),
)
