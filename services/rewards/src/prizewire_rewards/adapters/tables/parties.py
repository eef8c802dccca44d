"""Who is behind the money of pools, funding accounts and wallets."""

from sqlalchemy import Boolean, Column, PrimaryKeyConstraint, Table, Text

from prizewire_rewards.adapters.tables.base import asset_column, metadata

source_parties = Table(
    "source_parties",
    metadata,
    Column("source", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("subject", Text, nullable=False),
    PrimaryKeyConstraint("source", "role", "subject"),
)
wallet_parties = Table(
    "wallet_parties",
    metadata,
    Column("player", Text, nullable=False),
    asset_column(),
    Column("role", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("alone", Boolean, nullable=False),
    PrimaryKeyConstraint("player", "asset", "role", "subject", "alone"),
)
