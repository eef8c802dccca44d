"""Competitions in PostgreSQL."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_settlement.adapters.rules import COMPETITION_COLUMNS, RuleReader, rule_values
from prizewire_settlement.domain.model import Competition


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
        # A statement of its own: only now is the version seen that the lock was waited for.
        return self._rules.competition((await self._tx.execute(_ONE, {"id": competition_id})).one())

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
_ONE = text(
    f"SELECT {COMPETITION_COLUMNS} FROM competitions c "  # noqa: S608 - column names from our own literals
    "JOIN competition_rules r ON r.competition_id = c.id AND r.version = c.rule_version WHERE c.id = :id"
)
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
