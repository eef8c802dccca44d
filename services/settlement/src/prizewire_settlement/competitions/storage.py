"""Competitions and their rules over PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_money import Asset, AssetRegistry
from prizewire_settlement.competitions.domain.model import (
    Campaign,
    CampaignState,
    Competition,
    EntryFee,
    Overflow,
    PerPoint,
    PlaceRange,
    RankBy,
    Rule,
    Source,
    SourceChange,
    SourceKey,
    TieBreak,
    TiePolicy,
    Unclaimed,
)

RULE_COLUMNS: Final = (
    "r.competition_id, r.version, r.campaign, r.asset, r.gross, r.platform_bps, r.organizer_bps, "
    "r.organizer_player, r.template, r.places, r.per_point, r.ties, r.tie_score, r.tie_descending, r.unclaimed, "
    "r.rank_score, r.rank_descending, r.sources, r.dispute_window_s, r.entry_asset, r.entry_amount, "
    'ARRAY(SELECT DISTINCT w.created_by COLLATE "C" FROM competition_rules w '
    "WHERE w.competition_id = r.competition_id AND w.version <= r.version ORDER BY 1) AS writers"
)


COMPETITION_COLUMNS: Final = f"c.id, c.name, c.created_by, c.created_at, c.updated_at, {RULE_COLUMNS}"


_KEPT_MAX: Final = 2_048


class RuleReader:
    """Reads rules, and keeps them: a rule version never changes, and every batch asks for a few of them."""

    def __init__(self, assets: AssetRegistry) -> None:
        self._assets = assets
        self._kept: dict[tuple[str, int], Rule] = {}

    def rule(self, row: Any) -> Rule:
        """The rule of a row with ``RULE_COLUMNS``."""
        key = (row.competition_id, row.version)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._read(row)
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            self._kept[key] = kept
        return kept

    def asset(self, code: str) -> Asset:
        """An asset of a settlement, which is one of a rule."""
        return self._assets[code]

    def source_change(self, row: Any) -> SourceChange:
        """The change of sources of a row with version, sources and created_by."""
        return SourceChange(row.version, _sources(row.sources), row.created_by)

    def competition(self, row: Any) -> Competition:
        """The competition of a row with ``COMPETITION_COLUMNS``."""
        return Competition(
            id=row.id,
            name=row.name,
            rule=self.rule(row),
            created_by=row.created_by,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    def _read(self, row: Any) -> Rule:
        points = row.per_point
        return Rule(
            competition=row.competition_id,
            version=row.version,
            campaign=row.campaign,
            asset=self._assets[row.asset],
            gross=row.gross,
            platform_bps=row.platform_bps,
            organizer_bps=row.organizer_bps,
            organizer_player=row.organizer_player,
            template=row.template,
            places=tuple(
                PlaceRange(first=first, last=last, percent_total=percent, amount_each=each)
                for first, last, percent, each in row.places
            ),
            per_point=None if points is None else _points(points),
            ties=TiePolicy(row.ties),
            tie_break=None
            if row.tie_score is None
            else TieBreak(score=row.tie_score, descending=row.tie_descending),
            unclaimed=Unclaimed(row.unclaimed),
            rank_by=RankBy(score=row.rank_score, descending=row.rank_descending),
            sources=_sources(row.sources),
            dispute_window=timedelta(seconds=row.dispute_window_s),
            entry_fee=None
            if row.entry_asset is None
            else EntryFee(asset=self._assets[row.entry_asset], amount=row.entry_amount),
            writers=tuple(row.writers),
        )


def rule_values(rule: Rule) -> dict[str, Any]:
    """A rule as the values of its row."""
    points = rule.per_point
    return {
        "competition_id": rule.competition,
        "version": rule.version,
        "campaign": rule.campaign,
        "asset": rule.asset.code,
        "gross": rule.gross,
        "platform_bps": rule.platform_bps,
        "organizer_bps": rule.organizer_bps,
        "organizer_player": rule.organizer_player,
        "template": rule.template,
        "places": _text([[p.first, p.last, p.percent_total, p.amount_each] for p in rule.places]),
        "per_point": None
        if points is None
        else _text(
            {
                "score": points.score,
                "per": points.per,
                "amount": points.amount,
                "overflow": str(points.overflow),
            }
        ),
        "ties": str(rule.ties),
        "tie_score": None if rule.tie_break is None else rule.tie_break.score,
        "tie_descending": rule.tie_break is None or rule.tie_break.descending,
        "unclaimed": str(rule.unclaimed),
        "rank_score": rule.rank_by.score,
        "rank_descending": rule.rank_by.descending,
        "sources": _text(
            [
                {
                    "source": source.source,
                    "keys": [
                        {
                            "keyid": key.keyid,
                            "public_key": key.public_key,
                            "not_before": key.not_before.isoformat(),
                            "not_after": key.not_after.isoformat(),
                        }
                        for key in source.keys
                    ],
                }
                for source in rule.sources
            ]
        ),
        "dispute_window_s": int(rule.dispute_window.total_seconds()),
        "entry_asset": None if rule.entry_fee is None else rule.entry_fee.asset.code,
        "entry_amount": None if rule.entry_fee is None else rule.entry_fee.amount,
    }


def _points(entry: Mapping[str, Any]) -> PerPoint:
    # Rules from before the choice refused.
    return PerPoint(**{**entry, "overflow": Overflow(entry.get("overflow", Overflow.REFUSE))})


def _sources(entries: Iterable[Mapping[str, Any]]) -> tuple[Source, ...]:
    return tuple(_source(entry) for entry in entries)


def _source(entry: Mapping[str, Any]) -> Source:
    return Source(
        source=entry["source"],
        keys=tuple(
            SourceKey(
                keyid=key["keyid"],
                public_key=key["public_key"],
                not_before=_moment(key["not_before"]),
                not_after=_moment(key["not_after"]),
            )
            for key in entry["keys"]
        ),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


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
