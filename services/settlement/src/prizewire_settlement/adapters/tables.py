"""Settlement's tables. Private to the adapters: nobody else sees a row.

- ``competitions``, ``competition_rules``: every version of every rule; rules are only added to.
- ``round_transitions_allowed``: the database's copy of ``domain/states.py``.
- ``rounds``: one for each (source, match). ``round_transitions``: every step of every round; only added to, and
  written before the round that it moves, whose trigger looks for it.
- ``round_results``: results as they were reported; the parts of one wait here until it is whole.
- ``settlements``, ``settlement_lines``: what rounds pay, who is owed what; only added to.
- ``entries``: who entered which round for which fee; only added to.
- ``source_tokens``: who may report over HTTP, by the SHA-256 of the token.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from prizewire_chassis.db import chassis_tables

metadata: Final = MetaData()
chassis_tables(metadata)
_moment: Final = DateTime(timezone=True)

Table(
    "competitions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("updated_at", _moment, nullable=False),
    Index("competitions_recent", "created_at", "id"),
)
Table(
    "competition_rules",
    metadata,
    Column("competition_id", Text, ForeignKey("competitions.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("campaign", UUID(as_uuid=True), nullable=False),
    Column("asset", Text, ForeignKey("assets.code"), nullable=False),
    Column("gross", BigInteger, nullable=False),
    Column("platform_bps", Integer, nullable=False),
    Column("organizer_bps", Integer, nullable=False),
    Column("organizer_player", Text),
    Column("template", Text),
    Column("places", JSONB, nullable=False),
    Column("per_point", JSONB),
    Column("ties", Text, nullable=False),
    Column("tie_score", Text),
    Column("tie_descending", Boolean, nullable=False, server_default=text("true")),
    Column("unclaimed", Text, nullable=False, server_default=text("'pool'")),
    Column("rank_score", Text),
    Column("rank_descending", Boolean, nullable=False),
    Column("sources", JSONB, nullable=False),
    Column("dispute_window_s", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("entry_asset", Text, ForeignKey("assets.code")),
    Column("entry_amount", BigInteger),
    PrimaryKeyConstraint("competition_id", "version"),
    CheckConstraint(
        "(entry_asset IS NULL) = (entry_amount IS NULL) AND (entry_amount IS NULL OR entry_amount > 0)",
        name="entry_fee_whole",
    ),
    CheckConstraint("gross >= 0", name="gross_not_negative"),
    CheckConstraint(
        "platform_bps >= 0 AND organizer_bps >= 0 AND platform_bps + organizer_bps <= 10000", name="fees_fit"
    ),
    CheckConstraint("ties IN ('split', 'refuse', 'break')", name="ties_known"),
    CheckConstraint("(ties = 'break') = (tie_score IS NOT NULL)", name="tie_score_breaks"),
    CheckConstraint("unclaimed IN ('pool', 'spread')", name="unclaimed_known"),
)
Table(
    "round_transitions_allowed",
    metadata,
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("from_state", "to_state"),
)
Table(
    "rounds",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("match_id", Text, nullable=False),
    Column("competition_id", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_seq", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("settlement_version", Integer, nullable=False),
    Column("result_version", Integer),
    Column("final_at", _moment),
    Column("created_at", _moment, nullable=False),
    Column("updated_at", _moment, nullable=False),
    Column("waiting_since", _moment),
    Column("refused_at", _moment),
    Column("disowned_at", _moment),
    UniqueConstraint("match_id", "source", name="rounds_one_per_match"),
    ForeignKeyConstraint(
        ["competition_id", "rule_version"],
        ["competition_rules.competition_id", "competition_rules.version"],
        name="rounds_rule",
    ),
    Index("rounds_correlation", "correlation_id"),
    Index("rounds_recent", "created_at", "id"),
    Index("rounds_of_competition", "competition_id", "created_at", "id"),
    Index("rounds_due", "final_at", "id", postgresql_where=text("state = 'SETTLED'")),
    Index("rounds_incomplete", "waiting_since", "id", postgresql_where=text("waiting_since IS NOT NULL")),
    Index("rounds_refused", "created_at", "id", postgresql_where=text("refused_at IS NOT NULL")),
)
Table(
    "round_transitions",
    metadata,
    Column("round_id", UUID(as_uuid=True), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("cause_id", Text),
    Column("actor", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("reason", Text),
    PrimaryKeyConstraint("round_id", "seq"),
    Index(
        "round_transitions_ended",
        "at",
        "round_id",
        postgresql_where=text("to_state IN ('FINALIZED', 'VOIDED')"),
    ),
)
Table(
    "round_results",
    metadata,
    Column("round_id", UUID(as_uuid=True), nullable=False),
    Column("result_version", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("document", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("received_at", _moment, nullable=False),
    Column("reason", Text),
    Column("players", Integer, nullable=False, server_default=text("0")),
    Column("reporter", Text),
    PrimaryKeyConstraint("round_id", "result_version", "part"),
    CheckConstraint("part BETWEEN 1 AND parts", name="part_of_parts"),
)
Table(
    "settlements",
    metadata,
    Column("round_id", UUID(as_uuid=True), nullable=False),
    Column("version", Integer, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("campaign", UUID(as_uuid=True), nullable=False),
    Column("asset", Text, nullable=False),
    Column("gross", BigInteger, nullable=False),
    Column("platform_fee", BigInteger, nullable=False),
    Column("organizer_fee", BigInteger, nullable=False),
    Column("organizer_player", Text),
    Column("net", BigInteger, nullable=False),
    Column("unclaimed", BigInteger, nullable=False),
    Column("lines_total", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("first_event", Integer, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("final_at", _moment, nullable=False),
    Column("settled_at", _moment, nullable=False),
    Column("cause_id", Text, nullable=False),
    Column("reason", Text),
    Column("reporters", Text),
    Column("anew", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("round_id", "version"),
    CheckConstraint("version = 1 OR reason IS NOT NULL", name="corrections_have_a_reason"),
    CheckConstraint("gross = platform_fee + organizer_fee + net", name="gross_is_fees_and_net"),
    CheckConstraint("platform_fee >= 0 AND organizer_fee >= 0 AND net >= 0", name="parts_not_negative"),
    CheckConstraint("unclaimed BETWEEN 0 AND net", name="unclaimed_within_net"),
)
Table(
    "round_refusals",
    metadata,
    Column("round_id", UUID(as_uuid=True), nullable=False),
    Column("settlement_version", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("at", _moment, nullable=False),
    PrimaryKeyConstraint("round_id", "settlement_version"),
)
Table(
    "round_disownments",
    metadata,
    Column("round_id", UUID(as_uuid=True), primary_key=True),
    Column("disownment_id", UUID(as_uuid=True), nullable=False),
    Column("reason", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("at", _moment, nullable=False),
)
Table(
    "campaigns",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("asset", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
)
Table(
    "settlement_lines",
    metadata,
    Column("round_id", UUID(as_uuid=True), nullable=False),
    Column("version", Integer, nullable=False),
    Column("line", Integer, nullable=False),
    Column("player", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    PrimaryKeyConstraint("round_id", "version", "line"),
    CheckConstraint("amount > 0", name="amount_positive"),
)
Table(
    "entries",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("round_id", UUID(as_uuid=True), nullable=False),
    Column("player", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("entered_at", _moment, nullable=False),
    UniqueConstraint("round_id", "player", name="entries_one_per_player"),
    CheckConstraint("amount > 0", name="entry_costs_something"),
)
Table(
    "source_tokens",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("label", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", _moment, nullable=False),
    Column("expires_at", _moment, nullable=False),
    Column("revoked_at", _moment),
    UniqueConstraint("digest", name="source_tokens_digest"),
    Index("source_tokens_recent", "created_at", "id"),
)

APPEND_ONLY: Final = (
    "competition_rules",
    "round_transitions_allowed",
    "round_transitions",
    "settlements",
    "settlement_lines",
    "entries",
    "round_refusals",
    "round_disownments",
)
"""Tables that refuse UPDATE, DELETE and TRUNCATE."""
