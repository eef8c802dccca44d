"""What settlement's routes take and answer. Amounts are decimal strings in the competition's asset."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from nacl.bindings import crypto_core_ed25519_is_valid_point
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from prizewire_contracts.envelope import Amount, AssetCode, Digest, Name, Score, Timestamp
from prizewire_money import Amount as Money
from prizewire_money import AssetRegistry, MoneyError
from prizewire_settlement.domain.errors import RuleInvalid
from prizewire_settlement.domain.model import (
    Competition,
    Line,
    PerPoint,
    PlaceRange,
    RankBy,
    Round,
    Rule,
    Settlement,
    Source,
    SourceKey,
    TiePolicy,
    Transition,
)
from prizewire_settlement.domain.results import score_from_text, score_to_text
from prizewire_settlement.domain.rules import (
    percent_from_text,
    percent_to_text,
    places_from_text,
    places_to_text,
    template_places,
)

__all__ = [
    "CompetitionBody",
    "competition_json",
    "line_json",
    "money",
    "round_json",
    "rule_json",
    "settlement_json",
    "transition_json",
]

CompetitionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
BasisPoints = Annotated[int, Field(ge=0, le=10_000)]
ScoreName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class _Body(BaseModel):
    """A word that is not known is refused: a misspelt rule must not pass as another one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyBody(_Body):
    """An Ed25519 public key (64 hex digits) and when what it signs is believed."""

    keyid: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
    public_key: Digest
    not_before: Timestamp
    not_after: Timestamp


class SourceBody(_Body):
    """Who may report matches; without keys, unsigned reports are taken."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!-~]+$")]
    keys: Annotated[list[KeyBody], Field(max_length=10)] = Field(default_factory=list)


class RowBody(_Body):
    """Places such as ``1`` or ``9-16``, and what they earn: ``percent_total`` of the net prize for all of them
    together, or ``amount_each``.
    """

    places: str
    percent_total: str | None = None
    amount_each: Amount | None = None


class PointsBody(_Body):
    """``amount`` for every whole ``per`` of the named score."""

    score: ScoreName
    per: Score
    amount: Amount


class TemplateBody(_Body):
    """A named template, or a table with amounts per point where wanted."""

    name: str | None = None
    table: Annotated[list[RowBody], Field(max_length=1_000)] | None = None
    per_point: PointsBody | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "TemplateBody":
        if (self.name is None) == (self.table is None and self.per_point is None):
            msg = "a template has a name, or a table (or per_point, or both)"
            raise ValueError(msg)
        return self


class TiesBody(_Body):
    """What happens to equal results that reach a paid place."""

    policy: TiePolicy = TiePolicy.SPLIT


class RankBody(_Body):
    """By the stated place, or by a named score."""

    by: Literal["place", "score"] = "place"
    score: ScoreName | None = None
    order: Literal["desc", "asc"] = "desc"

    @model_validator(mode="after")
    def _score_with_score(self) -> "RankBody":
        if (self.by == "score") != (self.score is not None):
            msg = "name the score exactly when ranking by score"
            raise ValueError(msg)
        return self


class CompetitionBody(_Body):
    """A competition and its rule."""

    id: CompetitionId | None = Field(None, examples=["weekly-cup"])
    name: Title = Field(examples=["Weekly Cup"])
    campaign: UUID = Field(examples=["5f0c4b52-7d6e-5a39-9a0e-1d6a2f0c7b11"])
    asset: AssetCode = Field(examples=["USDC"])
    gross_prize: Amount = Field(examples=["1000.00"])
    platform_fee_bps: BasisPoints | None = None
    organizer_fee_bps: BasisPoints | None = None
    organizer_player: Name | None = None
    template: TemplateBody = Field(examples=[{"name": "top3"}])
    ties: TiesBody = TiesBody()
    rank_by: RankBody = RankBody()
    sources: list[SourceBody] = Field(examples=[[{"source": "/game-servers/eu-1", "keys": []}]])
    dispute_window_s: Annotated[int, Field(ge=0)] = 0

    def rule(
        self, competition_id: str, *, assets: AssetRegistry, platform_fee_bps: int, organizer_fee_bps: int
    ) -> Rule:
        """The rule that is asked for, as version 0; the fees given are those of a body that does not say.

        Raises:
            RuleInvalid: an asset, amount, percentage, range or public key that cannot be read.
        """
        if self.asset not in assets:
            raise RuleInvalid("asset_unknown", field="asset", detail=f"there is no asset {self.asset}")
        asset = assets[self.asset]

        def minor(text: str, field: str) -> int:
            try:
                return Money.parse(asset, text).minor
            except MoneyError as error:
                raise RuleInvalid(error.code, field=field, detail=str(error)) from None

        points = self.template.per_point
        return Rule(
            competition=competition_id,
            version=0,
            campaign=self.campaign,
            asset=asset,
            gross=minor(self.gross_prize, "gross_prize"),
            platform_bps=platform_fee_bps if self.platform_fee_bps is None else self.platform_fee_bps,
            organizer_bps=organizer_fee_bps if self.organizer_fee_bps is None else self.organizer_fee_bps,
            organizer_player=self.organizer_player,
            template=self.template.name,
            places=template_places(self.template.name)
            if self.template.name is not None
            else tuple(
                _row(row, minor, field=f"template.table.{n}")
                for n, row in enumerate(self.template.table or ())
            ),
            per_point=None
            if points is None
            else PerPoint(
                score=points.score,
                per=score_from_text(points.per),
                amount=minor(points.amount, "template.per_point.amount"),
            ),
            ties=self.ties.policy,
            rank_by=RankBy(score=self.rank_by.score, descending=self.rank_by.order == "desc"),
            sources=tuple(
                Source(source=one.source, keys=tuple(_key(key, source=one.source) for key in one.keys))
                for one in self.sources
            ),
            dispute_window=timedelta(seconds=min(self.dispute_window_s, 10**9)),
        )


def _row(row: RowBody, minor: Any, *, field: str) -> PlaceRange:
    first, last = places_from_text(row.places, field=field)
    return PlaceRange(
        first=first,
        last=last,
        percent_total=None
        if row.percent_total is None
        else percent_from_text(row.percent_total, field=field),
        amount_each=None if row.amount_each is None else minor(row.amount_each, field),
    )


def _key(key: KeyBody, *, source: str) -> SourceKey:
    """A key that a signature can only be made for with its private half: for a point of small order anybody can
    (RFC 8032, 5.1.7; libsodium, "Point validation").
    """
    if not crypto_core_ed25519_is_valid_point(bytes.fromhex(key.public_key)):
        detail = f"{key.keyid} is no Ed25519 public key"
        raise RuleInvalid("public_key_invalid", field=f"sources.{source}", detail=detail)
    return SourceKey(**key.model_dump())


def money(rule: Rule, minor: int) -> str:
    """An amount in the rule's asset as it travels."""
    return Money(rule.asset, minor).to_wire()


def rule_json(rule: Rule) -> dict[str, Any]:
    """A rule in the words of ``CompetitionBody``, with its version."""
    template: dict[str, Any]
    if rule.template is not None:
        template = {"name": rule.template}
    else:
        template = {
            "table": [
                {
                    "places": places_to_text(entry),
                    **(
                        {"percent_total": percent_to_text(entry.percent_total)}
                        if entry.percent_total is not None
                        else {"amount_each": money(rule, entry.amount_each or 0)}
                    ),
                }
                for entry in rule.places
            ]
        }
        points = rule.per_point
        if points is not None:
            template["per_point"] = {
                "score": points.score,
                "per": score_to_text(points.per),
                "amount": money(rule, points.amount),
            }
    by = rule.rank_by
    return {
        "rule_version": rule.version,
        "campaign": rule.campaign,
        "asset": rule.asset.code,
        "gross_prize": money(rule, rule.gross),
        "platform_fee_bps": rule.platform_bps,
        "organizer_fee_bps": rule.organizer_bps,
        "organizer_player": rule.organizer_player,
        "template": template,
        "ties": {"policy": rule.ties},
        "rank_by": {"by": "place"}
        if by.score is None
        else {"by": "score", "score": by.score, "order": "desc" if by.descending else "asc"},
        "sources": [
            {
                "source": source.source,
                "keys": [
                    {
                        "keyid": key.keyid,
                        "public_key": key.public_key,
                        "not_before": key.not_before,
                        "not_after": key.not_after,
                    }
                    for key in source.keys
                ],
            }
            for source in rule.sources
        ],
        "dispute_window_s": int(rule.dispute_window.total_seconds()),
    }


def competition_json(competition: Competition) -> dict[str, Any]:
    """A competition with its rule in force."""
    return {
        "id": competition.id,
        "name": competition.name,
        **rule_json(competition.rule),
        "created_by": competition.created_by,
        "created_at": competition.created_at,
        "updated_at": competition.updated_at,
    }


def round_json(found: Round) -> dict[str, Any]:
    """A round without its history."""
    return {
        "id": found.id,
        "competition": found.competition,
        "source": found.source,
        "match_id": found.match_id,
        "correlation_id": found.correlation_id,
        "rule_version": found.rule_version,
        "state": found.state,
        "settlement_version": found.settlement_version,
        "result_version": found.result_version,
        "final_at": found.final_at,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def transition_json(step: Transition) -> dict[str, Any]:
    """One step of a round."""
    return {
        "seq": step.seq,
        "from": step.before,
        "to": step.after,
        "cause": step.cause.kind,
        "cause_id": step.cause.id,
        "actor": step.cause.actor,
        "correlation_id": step.correlation_id,
        "at": step.at,
    }


def settlement_json(settlement: Settlement, *, lines_total: int) -> dict[str, Any]:
    """A settlement without its lines."""
    rule, fees = settlement.rule, settlement.fees
    return {
        "settlement_version": settlement.version,
        "rule_version": rule.version,
        "campaign": rule.campaign,
        "asset": rule.asset.code,
        "gross": money(rule, fees.gross),
        "fees": {
            "platform": money(rule, fees.platform),
            "organizer": money(rule, fees.organizer),
            "organizer_player": rule.organizer_player,
        },
        "net": money(rule, fees.net),
        "unclaimed": money(rule, settlement.unclaimed),
        "lines_total": lines_total,
        "final": settlement.final,
        "final_at": settlement.final_at,
        "settled_at": settlement.settled_at,
    }


def line_json(line: Line, *, rule: Rule) -> dict[str, Any]:
    """One prize."""
    return {
        "line": line.line,
        "player": line.player,
        "place": line.place,
        "amount": money(rule, line.amount),
    }
