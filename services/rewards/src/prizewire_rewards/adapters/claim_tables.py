"""Tables of campaigns' settings, caps, claims and what is known of players, as the queries see them."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = ["claim_tables"]

_MOMENT = DateTime(timezone=True)


def claim_tables(metadata: MetaData) -> None:
    """Put these tables beside the others of ``metadata``."""
    Table(
        "campaign_settings",
        metadata,
        Column("campaign", Uuid, ForeignKey("campaigns.id"), nullable=False),
        Column("version", Integer, nullable=False),
        Column("settings", JSONB, nullable=False),
        Column("actor", Text, nullable=False),
        Column("at", _MOMENT, nullable=False),
        PrimaryKeyConstraint("campaign", "version"),
    )
    Table(
        "cap_usage",
        metadata,
        Column("campaign", Uuid, ForeignKey("campaigns.id"), nullable=False),
        Column("cap", Text, nullable=False),
        Column("player", Text, nullable=False),
        Column("day", Text, nullable=False),
        Column("used", BigInteger, nullable=False),
        PrimaryKeyConstraint("campaign", "cap", "player", "day"),
        CheckConstraint("used >= 0", name="cap_usage_used"),
    )
    Table(
        "cap_lines",
        metadata,
        Column("reward_id", Uuid, primary_key=True),
        Column("campaign", Uuid, ForeignKey("campaigns.id"), nullable=False),
        Column("player", Text, nullable=False),
        Column("day", Date, nullable=False),
        Column("amount", BigInteger, nullable=False),
        CheckConstraint("amount > 0", name="cap_lines_amount"),
        Index("cap_lines_campaign", "campaign"),
    )
    Table(
        "claims",
        metadata,
        Column("reward_id", Uuid, primary_key=True),
        Column("round_id", Uuid, nullable=False),
        Column("campaign", Uuid, ForeignKey("campaigns.id"), nullable=False),
        Column("player", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("deadline", _MOMENT, nullable=False),
        Column("opened_at", _MOMENT, nullable=False),
        Column("claimed_at", _MOMENT),
        Column("decided_at", _MOMENT),
        Column("decided_by", Text),
        Column("reason", Text),
        Column("rule", Text),
        Column("findings", JSONB, nullable=False),
        Column("version", Integer, nullable=False),
        CheckConstraint("(state IN ('open', 'held')) = (decided_at IS NULL)", name="claims_decided"),
        CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name="claims_decider"),
        CheckConstraint("decided_by <> player OR decided_by = 'rewards'", name="claims_own"),
        CheckConstraint(
            "state <> 'held' OR (claimed_at IS NOT NULL AND rule IS NOT NULL)", name="claims_held"
        ),
        Index("claims_due", "state", "deadline", postgresql_where=text("state IN ('open', 'held')")),
        Index("claims_player", "player", "opened_at"),
        Index("claims_campaign", "campaign", "opened_at"),
        Index("claims_opened", "opened_at", "reward_id"),
        Index("claims_round", "round_id"),
    )
    Table(
        "players",
        metadata,
        Column("player", Text, primary_key=True),
        Column("registered_at", _MOMENT),
        Column("registered_at_told", _MOMENT),
        Column("kyc_state", Text),
        Column("kyc_state_told", _MOMENT),
        Column("device_hash", Text),
        Column("device_hash_told", _MOMENT),
        Column("address_hash", Text),
        Column("address_hash_told", _MOMENT),
        Column("changed_at", _MOMENT),
        CheckConstraint("kyc_state IN ('none', 'pending', 'verified', 'rejected')", name="players_kyc_state"),
        CheckConstraint("device_hash ~ '^[0-9a-f]{64}$'", name="players_device_hash"),
        CheckConstraint("address_hash ~ '^[0-9a-f]{64}$'", name="players_address_hash"),
        Index("players_device", "device_hash", postgresql_where=text("device_hash IS NOT NULL")),
        Index("players_address", "address_hash", postgresql_where=text("address_hash IS NOT NULL")),
    )
