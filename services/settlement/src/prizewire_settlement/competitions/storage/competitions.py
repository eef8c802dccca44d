"""Competitions, and the campaigns that settlement knows of, in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_settlement.competitions.domain.model import Campaign, CampaignState, Competition, Rule
from prizewire_settlement.competitions.storage.rules import (
    COMPETITION_COLUMNS,
    RULE_COLUMNS,
    RuleReader,
    rule_values,
)


class Competitions:
    """The port ``CompetitionStore`` over one transaction."""

    def __init__(self, tx: AsyncConnection, *, rules: RuleReader) -> None:
        self._tx = tx
        self._rules = rules

    async def create(self, competition: Competition) -> bool:
        """See the port."""
        written = await self._tx.execute(
            _CREATE,
            {
                "id": competition.id,
                "name": competition.name,
                "version": competition.rule.version,
                "by": competition.created_by,
                "now": competition.created_at,
            },
        )
        if written.one_or_none() is None:
            return False
        await self._add_rule(competition, by=competition.created_by)
        return True

    async def lock(self, competition_id: str) -> Competition | None:
        """See the port."""
        held = await self._tx.execute(_LOCK, {"id": competition_id})
        if held.one_or_none() is None:
            return None
        # A second statement: it sees the version that was committed while this transaction waited for the lock.
        return self._rules.competition((await self._tx.execute(_COMPETITION, {"id": competition_id})).one())

    async def replace(self, competition: Competition, *, by: str) -> None:
        """See the port."""
        await self._add_rule(competition, by=by)
        await self._tx.execute(
            _REPLACE,
            {
                "id": competition.id,
                "name": competition.name,
                "version": competition.rule.version,
                "now": competition.updated_at,
            },
        )

    async def _add_rule(self, competition: Competition, *, by: str) -> None:
        values = rule_values(competition.rule)
        await self._tx.execute(_ADD_RULE, {**values, "by": by, "now": competition.updated_at})


_CREATE = text(
    "INSERT INTO competitions (id, name, rule_version, created_by, created_at, updated_at) "
    "VALUES (:id, :name, :version, :by, CAST(:now AS timestamptz), CAST(:now AS timestamptz)) "
    "ON CONFLICT DO NOTHING RETURNING id"
)
_LOCK = text("SELECT id FROM competitions WHERE id = :id FOR UPDATE")
_REPLACE = text(
    "UPDATE competitions SET name = :name, rule_version = :version, updated_at = :now WHERE id = :id"
)
_ADD_RULE = text(
    "INSERT INTO competition_rules (competition_id, version, campaign, asset, gross, platform_bps, organizer_bps, "
    "organizer_player, template, places, per_point, ties, tie_score, tie_descending, unclaimed, "
    "rank_score, rank_descending, sources, dispute_window_s, entry_asset, entry_amount, created_by, created_at) "
    "VALUES (:competition_id, :version, :campaign, :asset, :gross, :platform_bps, "
    ":organizer_bps, :organizer_player, :template, CAST(:places AS jsonb), CAST(:per_point AS jsonb), :ties, "
    ":tie_score, :tie_descending, :unclaimed, :rank_score, :rank_descending, CAST(:sources AS jsonb), "
    ":dispute_window_s, :entry_asset, :entry_amount, :by, :now)"
)


class PostgresCompetitionQueries:
    """The port ``CompetitionQueries`` over one transaction."""

    def __init__(self, tx: AsyncConnection, *, rules: RuleReader) -> None:
        self._tx = tx
        self._rules = rules

    async def competition(self, competition_id: str) -> Competition | None:
        """See the port."""
        row = (await self._tx.execute(_COMPETITION, {"id": competition_id})).one_or_none()
        return None if row is None else self._rules.competition(row)

    async def competition_page(self, *, before: tuple[datetime, str] | None, limit: int) -> list[Competition]:
        """See the port."""
        at, name = before if before is not None else (None, None)
        rows = await self._tx.execute(_COMPETITION_PAGE, {"at": at, "id": name, "limit": limit})
        return [self._rules.competition(row) for row in rows]

    async def rule(self, competition_id: str, version: int) -> Rule | None:
        """See the port."""
        row = (await self._tx.execute(_RULE, {"id": competition_id, "version": version})).one_or_none()
        return None if row is None else self._rules.rule(row)


class PostgresCampaigns:
    """The port ``Campaigns`` over one transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def campaign(self, campaign_id: UUID) -> Campaign | None:
        """See the port."""
        row = (await self._tx.execute(_CAMPAIGN, {"id": campaign_id})).one_or_none()
        if row is None:
            return None
        return Campaign(id=row.id, asset=row.asset, state=CampaignState(row.state), version=row.version)

    async def keep(self, campaigns: Sequence[Campaign]) -> None:
        """See the port."""
        ordered = sorted(campaigns, key=lambda one: one.id)
        await self._tx.execute(
            _KEEP,
            {
                "ids": [one.id for one in ordered],
                "assets": [one.asset for one in ordered],
                "states": [one.state.value for one in ordered],
                "versions": [one.version for one in ordered],
            },
        )


_CAMPAIGN = text("SELECT id, asset, state, version FROM campaigns WHERE id = :id")
_KEEP = text(
    "INSERT INTO campaigns (id, asset, state, version) SELECT * FROM unnest(CAST(:ids AS uuid[]), "
    "CAST(:assets AS text[]), CAST(:states AS text[]), CAST(:versions AS int[])) "
    "ON CONFLICT (id) DO UPDATE SET state = excluded.state, version = excluded.version "
    "WHERE campaigns.version < excluded.version"
)
# The SQL below is put together from column lists; every value is bound.
_COMPETITION = text(
    f"SELECT {COMPETITION_COLUMNS} FROM competitions c "  # noqa: S608 - see above
    "JOIN competition_rules r ON r.competition_id = c.id AND r.version = c.rule_version WHERE c.id = :id"
)
_COMPETITION_PAGE = text(
    f"SELECT {COMPETITION_COLUMNS} FROM competitions c "  # noqa: S608 - see above
    "JOIN competition_rules r ON r.competition_id = c.id AND r.version = c.rule_version "
    "WHERE CAST(:at AS timestamptz) IS NULL "
    "OR (c.created_at, c.id) < (CAST(:at AS timestamptz), CAST(:id AS text)) "
    "ORDER BY c.created_at DESC, c.id DESC LIMIT :limit"
)
_RULE = text(
    f"SELECT {RULE_COLUMNS} FROM competition_rules r WHERE r.competition_id = :id AND r.version = :version"  # noqa: S608 - see above
)
