"""Campaigns, every version of their settings, and what is counted for their caps."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from prizewire_rewards.adapters.tables.base import MOMENT, asset_column, campaign_column, metadata

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    asset_column(),
    Column("delivery", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("funded", BigInteger, nullable=False, server_default=text("0")),
    Column("granted", BigInteger, nullable=False),
    Column("queued", Integer, nullable=False),
    Column("queue_tail", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("pool", Uuid, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("withdrawn", BigInteger, nullable=False, server_default=text("0")),
    Column("low", Boolean, nullable=False, server_default=text("false")),
    Column("capped", Boolean, nullable=False, server_default=text("false")),
    Column("settings", JSONB, nullable=False),
    Column("settings_version", Integer, nullable=False, server_default=text("1")),
    CheckConstraint("granted BETWEEN 0 AND funded", name="campaigns_granted"),
    CheckConstraint("withdrawn >= 0 AND granted + withdrawn <= funded", name="campaigns_withdrawn"),
    CheckConstraint("queued >= 0", name="campaigns_queued"),
    CheckConstraint("delivery IN ('wallet', 'direct', 'claim')", name="campaigns_delivery"),
    Index("campaigns_pool", "pool"),
    Index("campaigns_waiting", "id", postgresql_where=text("queued > 0")),
)
campaign_settings = Table(
    "campaign_settings",
    metadata,
    campaign_column(),
    Column("version", Integer, nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    PrimaryKeyConstraint("campaign", "version"),
)
cap_usage = Table(
    "cap_usage",
    metadata,
    campaign_column(),
    Column("cap", Text, nullable=False),
    Column("player", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("used", BigInteger, nullable=False),
    PrimaryKeyConstraint("campaign", "cap", "player", "day"),
    CheckConstraint("used >= 0", name="cap_usage_used"),
)
cap_lines = Table(
    "cap_lines",
    metadata,
    Column("reward_id", Uuid, primary_key=True),
    campaign_column(),
    Column("player", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("amount", BigInteger, nullable=False),
    CheckConstraint("amount > 0", name="cap_lines_amount"),
    Index("cap_lines_campaign", "campaign"),
)
