"""Payout requests, and the projection of payout methods."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from prizewire_rewards.adapters.tables.base import MOMENT, asset_column, metadata

__all__ = ["methods", "payouts"]

payouts = Table(
    "payouts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("player", Text),
    Column("campaign", Uuid, ForeignKey("campaigns.id")),
    Column("round_id", Uuid),
    asset_column(),
    Column("amount", BigInteger, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("filed_by", Text, nullable=False),
    Column("method_id", Uuid),
    Column("method_version", Integer),
    Column("rail_types", ARRAY(Text), nullable=False),
    Column("intent", JSONB, nullable=False),
    Column("intent_signature", Text, nullable=False),
    Column("rail", Text),
    Column("returned", BigInteger, nullable=False),
    Column("outcome", JSONB),
    Column("version", Integer, nullable=False),
    Column("requested_at", MOMENT, nullable=False),
    Column("changed_at", MOMENT, nullable=False),
    Column("funding_account", Text, ForeignKey("funding_accounts.name", name="payouts_funding")),
    Column("fee", BigInteger, nullable=False, server_default=text("0")),
    Column("parties", JSONB, nullable=False, server_default=text("'[]'")),
    Column("one_person", JSONB, nullable=False, server_default=text("'[]'")),
    CheckConstraint("amount > 0", name="payouts_amount"),
    CheckConstraint("returned BETWEEN 0 AND amount", name="payouts_returned"),
    Index("payouts_player", "player", "requested_at"),
    Index("payouts_correlation", "correlation_id"),
    Index("payouts_changed", "changed_at", "id"),
    Index("payouts_round", "round_id", "player", postgresql_where=text("round_id IS NOT NULL")),
    Index("payouts_campaign", "campaign", "state", postgresql_where=text("campaign IS NOT NULL")),
    Index(
        "payouts_by_funding",
        "funding_account",
        "state",
        postgresql_where=text("funding_account IS NOT NULL"),
    ),
)
methods = Table(
    "payout_methods",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("player", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("rail_type", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("address", Text),
    Column("memo", Text),
    Column("commitment", Text),
    Column("changed_at", MOMENT, nullable=False),
    Index("payout_methods_default", "player", postgresql_where=text("is_default AND active")),
)
