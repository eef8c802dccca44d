"""The metadata that all tables share, and sets of columns that several of them have."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKey, MetaData, Text, Uuid

from prizewire_chassis.db import chassis_tables

metadata = MetaData()
chassis_tables(metadata)

MOMENT = DateTime(timezone=True)


def asset_column() -> Column[str]:
    """The asset of a row's amounts, which is pinned."""
    return Column("asset", Text, ForeignKey("assets.code"), nullable=False)


def campaign_column() -> Column[UUID]:
    """The campaign that a row belongs to."""
    return Column("campaign", Uuid, ForeignKey("campaigns.id"), nullable=False)


def match_columns() -> tuple[Column[str], Column[str]]:
    """A match, and who named it so."""
    return (Column("match_id", Text, nullable=False), Column("match_source", Text, nullable=False))


def cause_columns(*, at: str = "at") -> tuple[Column[str], Column[str], Column[datetime]]:
    """What brought a row about, on whose way, and when; ``at`` names the moment's column."""
    return (
        Column("cause", Text, nullable=False),
        Column("correlation_id", Text, nullable=False),
        Column(at, MOMENT, nullable=False),
    )
