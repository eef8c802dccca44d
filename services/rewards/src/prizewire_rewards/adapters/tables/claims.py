"""Claims, and what is known of players."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from prizewire_rewards.adapters.tables.base import MOMENT, campaign_column, metadata

claims = Table(
    "claims",
    metadata,
    Column("reward_id", Uuid, primary_key=True),
    Column("round_id", Uuid, nullable=False),
    campaign_column(),
    Column("player", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("deadline", MOMENT, nullable=False),
    Column("opened_at", MOMENT, nullable=False),
    Column("claimed_at", MOMENT),
    Column("decided_at", MOMENT),
    Column("decided_by", Text),
    Column("reason", Text),
    Column("rule", Text),
    Column("findings", JSONB, nullable=False),
    Column("version", Integer, nullable=False),
    Column("settings_version", Integer, nullable=False),
    CheckConstraint("(state IN ('open', 'held')) = (decided_at IS NULL)", name="claims_decided"),
    CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name="claims_decider"),
    CheckConstraint("decided_by <> player OR decided_by = 'rewards'", name="claims_own"),
    CheckConstraint("state <> 'held' OR (claimed_at IS NOT NULL AND rule IS NOT NULL)", name="claims_held"),
    Index("claims_due", "state", "deadline", postgresql_where=text("state IN ('open', 'held')")),
    Index("claims_player", "player", "opened_at"),
    Index("claims_campaign", "campaign", "opened_at"),
    Index("claims_opened", "opened_at", "reward_id"),
    Index("claims_round", "round_id"),
)
players = Table(
    "players",
    metadata,
    Column("player", Text, primary_key=True),
    Column("registered_at", MOMENT),
    Column("registered_at_told", MOMENT),
    Column("kyc_state", Text),
    Column("kyc_state_told", MOMENT),
    Column("device_hash", Text),
    Column("device_hash_told", MOMENT),
    Column("address_hash", Text),
    Column("address_hash_told", MOMENT),
    Column("changed_at", MOMENT),
    CheckConstraint("kyc_state IN ('none', 'pending', 'verified', 'rejected')", name="players_kyc_state"),
    CheckConstraint("device_hash ~ '^[0-9a-f]{64}$'", name="players_device_hash"),
    CheckConstraint("address_hash ~ '^[0-9a-f]{64}$'", name="players_address_hash"),
    Index("players_device", "device_hash", postgresql_where=text("device_hash IS NOT NULL")),
    Index("players_address", "address_hash", postgresql_where=text("address_hash IS NOT NULL")),
)
