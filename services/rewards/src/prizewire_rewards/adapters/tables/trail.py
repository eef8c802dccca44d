"""Every step of every state machine."""

from sqlalchemy import BigInteger, Column, Identity, Index, Table, Text, Uuid

from prizewire_rewards.adapters.tables.base import cause_columns, metadata

transitions = Table(
    "transitions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("machine", Text, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    *cause_columns(),
    Index("transitions_subject", "subject", "id"),
)
