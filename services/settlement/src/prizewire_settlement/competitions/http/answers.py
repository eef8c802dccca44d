"""What settlement's routes answer about competitions and their rules, in the words of ``CompetitionBody``."""

from typing import Annotated, Literal

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_money import Amount as Money
from prizewire_settlement.competitions.domain.model import (
    Competition,
    Overflow,
    PerPoint,
    PlaceRange,
    Rule,
    TiePolicy,
    Unclaimed,
)
from prizewire_settlement.competitions.domain.rules import (
    percent_to_text,
    places_to_text,
    plan_of,
    score_to_text,
)

AmountText = Annotated[
    str,
    Field(
        pattern=r"^(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?$",
        description="A decimal number in units of the asset.",
        examples=["100.00"],
    ),
]
Asset = Annotated[str, Field(pattern="^[A-Z][A-Z0-9]{0,11}$", examples=["EURC"])]
Campaign = Annotated[Id, Field(description="The campaign that pays the prizes.")]
CompetitionName = Annotated[str, Field(description="The competition's id.", examples=["cup"])]
PlayerName = Annotated[str, Field(examples=["ann"])]
RuleVersion = Annotated[
    int, Field(description="The version of the competition's rule, from 1.", examples=[1])
]
SourceName = Annotated[
    str, Field(description="The CloudEvents source that reports.", examples=["/games/chess"])
]
_Order = Literal["desc", "asc"]


class RowAnswer(AnswerModel):
    """What a range of places earns: a percentage of the net prize for all of them together, or an amount for each."""

    places: Annotated[str, Field(description="`1`, or a range such as `9-16`.", examples=["1"])]
    percent_total: Annotated[str | None, Field(examples=["60"])]
    amount_each: Annotated[AmountText | None, Field(examples=[None])]


class PointsAnswer(AnswerModel):
    """``amount`` for every whole ``per`` of the named score."""

    score: Annotated[str, Field(examples=["points"])]
    per: Annotated[str, Field(description="A decimal number.", examples=["0.5"])]
    amount: AmountText
    overflow: Annotated[
        Overflow,
        Field(
            description="What happens where points come to more than the places leave of the net prize.",
            examples=["pro_rata"],
        ),
    ]


class TemplateAnswer(AnswerModel):
    """A named template, or a table of places, amounts per point, or both."""

    name: Annotated[str | None, Field(description="Null if there is a table.", examples=["top3"])]
    table: Annotated[
        list[RowAnswer] | None, Field(description="Null if the template has a name.", examples=[None])
    ]
    per_point: Annotated[
        PointsAnswer | None, Field(description="Null if nothing is paid for points.", examples=[None])
    ]


class TiesAnswer(AnswerModel):
    """What happens to equal results."""

    policy: Annotated[TiePolicy, Field(examples=["split"])]
    score: Annotated[str | None, Field(description="With `break`: the score that decides.", examples=[None])]
    order: Annotated[
        _Order | None,
        Field(description="With `break`: whether more of the score is better, or less.", examples=[None]),
    ]


class RankAnswer(AnswerModel):
    """What players are ranked by."""

    by: Annotated[Literal["place", "score"], Field(examples=["place"])]
    score: Annotated[str | None, Field(description="With `score`: its name.", examples=[None])]
    order: Annotated[
        _Order, Field(description="Of the score; places have no other order.", examples=["desc"])
    ]


class KeyAnswer(AnswerModel):
    """An Ed25519 public key, and when what it signs counts."""

    keyid: Annotated[str, Field(examples=["chess-1"])]
    public_key: Annotated[
        str,
        Field(
            description="64 hexadecimal digits.",
            examples=["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"],
        ),
    ]
    not_before: Annotated[Moment, Field(examples=["2026-01-01T00:00:00Z"])]
    not_after: Annotated[Moment, Field(examples=["2027-01-01T00:00:00Z"])]


class SourceAnswer(AnswerModel):
    """A source that may report matches. Without keys, it need not sign."""

    source: SourceName
    keys: list[KeyAnswer]


class EntryFeeAnswer(AnswerModel):
    """What a player pays to enter a match."""

    amount: Annotated[AmountText, Field(examples=["2.50"])]
    asset: Asset


class RuleFeesAnswer(AnswerModel):
    """What the fees of a rule come to, whatever the result, and what they leave."""

    platform: Annotated[AmountText, Field(examples=["10.00"])]
    organizer: Annotated[AmountText, Field(examples=["5.00"])]
    net: Annotated[AmountText, Field(examples=["85.00"])]


class RuleParts(AnswerModel):
    """One version of a rule."""

    rule_version: RuleVersion
    campaign: Campaign
    asset: Asset
    gross_prize: AmountText
    platform_fee_bps: Annotated[int, Field(description="Basis points of the gross prize.", examples=[1_000])]
    organizer_fee_bps: Annotated[int, Field(description="Basis points of the gross prize.", examples=[500])]
    organizer_player: Annotated[
        PlayerName | None,
        Field(description="Who gets the organizer's fee. Null if nobody does.", examples=["org"]),
    ]
    fees: RuleFeesAnswer
    template: TemplateAnswer
    ties: TiesAnswer
    unclaimed: Annotated[
        Unclaimed, Field(description="Where prizes go that no player took.", examples=["pool"])
    ]
    rank_by: RankAnswer
    sources: list[SourceAnswer]
    dispute_window_s: Annotated[
        int, Field(description="Seconds from a settlement until it is final.", examples=[86_400])
    ]
    entry_fee: Annotated[EntryFeeAnswer | None, Field(description="Null if a match costs nothing to enter.")]


class RuleAnswer(RuleParts):
    """One version of a competition's rule."""

    id: CompetitionName


class CompetitionAnswer(RuleAnswer):
    """A competition with its rule in force."""

    name: Annotated[str, Field(examples=["Cup"])]
    created_by: Annotated[str, Field(examples=["ada"])]
    created_at: Moment
    updated_at: Moment


def money(rule: Rule, minor: int) -> str:
    """An amount in the rule's asset as it travels."""
    return Money(rule.asset, minor).to_wire()


def rule_parts(rule: Rule) -> RuleParts:
    """A rule without the competition's id."""
    fees = plan_of(rule).fees
    by, entry_fee = rule.rank_by, rule.entry_fee
    return RuleParts(
        rule_version=rule.version,
        campaign=rule.campaign,
        asset=rule.asset.code,
        gross_prize=money(rule, rule.gross),
        platform_fee_bps=rule.platform_bps,
        organizer_fee_bps=rule.organizer_bps,
        organizer_player=rule.organizer_player,
        fees=RuleFeesAnswer(
            platform=money(rule, fees.platform),
            organizer=money(rule, fees.organizer),
            net=money(rule, fees.net),
        ),
        template=_template(rule),
        ties=TiesAnswer(
            policy=rule.ties,
            score=None if rule.tie_break is None else rule.tie_break.score,
            order=None if rule.tie_break is None else _order(descending=rule.tie_break.descending),
        ),
        unclaimed=rule.unclaimed,
        rank_by=RankAnswer(
            by="place" if by.score is None else "score",
            score=by.score,
            order=_order(descending=by.descending),
        ),
        sources=[
            SourceAnswer(
                source=source.source,
                keys=[
                    KeyAnswer(
                        keyid=key.keyid,
                        public_key=key.public_key,
                        not_before=key.not_before,
                        not_after=key.not_after,
                    )
                    for key in source.keys
                ],
            )
            for source in rule.sources
        ],
        dispute_window_s=int(rule.dispute_window.total_seconds()),
        entry_fee=None
        if entry_fee is None
        else EntryFeeAnswer(
            amount=Money(entry_fee.asset, entry_fee.amount).to_wire(), asset=entry_fee.asset.code
        ),
    )


def rule_answer(rule: Rule) -> RuleAnswer:
    """One version of a competition's rule."""
    return RuleAnswer(id=rule.competition, **dict(rule_parts(rule)))


def competition_answer(competition: Competition) -> CompetitionAnswer:
    """A competition with its rule in force."""
    return CompetitionAnswer(
        id=competition.id,
        name=competition.name,
        created_by=competition.created_by,
        created_at=competition.created_at,
        updated_at=competition.updated_at,
        **dict(rule_parts(competition.rule)),
    )


def _order(*, descending: bool) -> _Order:
    return "desc" if descending else "asc"


def _template(rule: Rule) -> TemplateAnswer:
    if rule.template is not None:
        return TemplateAnswer(name=rule.template, table=None, per_point=None)
    return TemplateAnswer(
        name=None,
        table=[_row(entry, rule) for entry in rule.places],
        per_point=None if rule.per_point is None else _points(rule.per_point, rule),
    )


def _row(entry: PlaceRange, rule: Rule) -> RowAnswer:
    return RowAnswer(
        places=places_to_text(entry),
        percent_total=None if entry.percent_total is None else percent_to_text(entry.percent_total),
        amount_each=None if entry.amount_each is None else money(rule, entry.amount_each),
    )


def _points(points: PerPoint, rule: Rule) -> PointsAnswer:
    return PointsAnswer(
        score=points.score,
        per=score_to_text(points.per),
        amount=money(rule, points.amount),
        overflow=points.overflow,
    )
