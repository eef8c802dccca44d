"""Rows of competitions and rules as objects of the domain, and back."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from prizewire_money import Asset, AssetRegistry
from prizewire_settlement.competitions.domain.model import (
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
