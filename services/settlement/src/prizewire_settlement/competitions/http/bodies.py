"""What settlement's routes take. Amounts are decimal strings in the competition's asset."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from nacl.bindings import crypto_core_ed25519_is_valid_point
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from prizewire_contracts.envelope import Amount, AssetCode, Digest, Score, Timestamp
from prizewire_contracts.text import PRINTABLE_OR_EMPTY, Ascii, Line, Name, Word
from prizewire_money import Amount as Money
from prizewire_money import Asset, AssetRegistry, MoneyError
from prizewire_settlement.competitions.domain.model import (
    EntryFee,
    Overflow,
    PerPoint,
    PlaceRange,
    RankBy,
    Rule,
    Source,
    SourceKey,
    TieBreak,
    TiePolicy,
    Unclaimed,
)
from prizewire_settlement.competitions.domain.rules import (
    DISPUTE_WINDOW_S_MAX,
    KEYS_PER_SOURCE_MAX,
    RANGES_MAX,
    SOURCES_MAX,
    percent_from_text,
    places_from_text,
    score_from_text,
    template_places,
)
from prizewire_settlement.errors import RuleInvalid

CompetitionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
BasisPoints = Annotated[int, Field(strict=True, ge=0, le=10_000)]
ScoreName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
_IS_NULL: Final[JsonDict] = {"type": "null"}
_IS_GIVEN: Final[JsonDict] = {"not": _IS_NULL}


class _Body(BaseModel):
    """An unknown field is refused: a misspelt rule must not pass as another one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyBody(_Body):
    """An Ed25519 public key (64 hex digits) and the time in which its signatures are accepted."""

    keyid: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")] = Field(
        examples=["chess-1"]
    )
    public_key: Digest = Field(examples=["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"])
    not_before: Timestamp = Field(examples=["2026-01-01T00:00:00Z"])
    not_after: Timestamp = Field(examples=["2027-01-01T00:00:00Z"])


class SourceBody(_Body):
    """A source that may report matches; without keys, unsigned reports are accepted."""

    source: Ascii = Field(examples=["/games/chess"])
    keys: Annotated[list[KeyBody], Field(max_length=KEYS_PER_SOURCE_MAX)] = Field(
        default_factory=list, examples=[[]]
    )


Cell = Annotated[str, StringConstraints(max_length=40, pattern=PRINTABLE_OR_EMPTY)]
"""Read by the domain, which names what is wrong with it."""


class RowBody(_Body):
    """Places such as ``1`` or ``9-16``, and what they earn: ``percent_total`` of the net prize for all of them
    together, ``percent_each`` for each of them, or ``amount_each``. Answers name the total.
    """

    places: Cell = Field(examples=["1"])
    percent_total: Cell | None = Field(None, examples=["60"])
    percent_each: Cell | None = Field(None, examples=[None])
    amount_each: Amount | None = Field(None, examples=[None])


class PointsBody(_Body):
    """``amount`` for every whole ``per`` of the named score."""

    score: ScoreName = Field(examples=["points"])
    per: Score = Field(examples=["0.5"])
    amount: Amount = Field(examples=["3500.00"])
    overflow: Overflow = Field(
        Overflow.REFUSE,
        description="Where points come to more than the places leave of the net prize: refuse the result, or let the "
        "points share what is left pro rata.",
        examples=["pro_rata"],
    )


class TemplateBody(_Body):
    """A named template (``winner_takes_all``, ``top3``, ``top5``, ``top10``), or a table with amounts per point where
    wanted.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["name"],
                    "properties": {"name": _IS_GIVEN, "table": _IS_NULL, "per_point": _IS_NULL},
                },
                {
                    "properties": {"name": _IS_NULL},
                    "anyOf": [
                        {"required": ["table"], "properties": {"table": _IS_GIVEN}},
                        {"required": ["per_point"], "properties": {"per_point": _IS_GIVEN}},
                    ],
                },
            ]
        }
    )

    name: Word | None = Field(None, description="A named template.", examples=["top5"])
    table: Annotated[list[RowBody], Field(max_length=RANGES_MAX)] | None = Field(
        None,
        description="Rows of places, from the first on without a gap; either percentages or amounts.",
        examples=[
            [{"places": "1", "percent_total": "60"}, {"places": "2-5", "percent_total": "40"}],
            [{"places": "1", "percent_each": "50"}, {"places": "2-3", "percent_each": "12.5"}],
            [{"places": "1", "amount_each": "48000.00"}, {"places": "2-3", "amount_each": "24000.00"}],
        ],
    )
    per_point: PointsBody | None = Field(
        None,
        description="Beside the table's percentages or amounts, or alone.",
        examples=[{"score": "points", "per": "0.5", "amount": "3500.00"}],
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "TemplateBody":
        if (self.name is None) == (self.table is None and self.per_point is None):
            msg = "a template has a name, or a table (or per_point, or both)"
            raise ValueError(msg)
        return self


class TiesBody(_Body):
    """What happens to equal results: ``split`` what their places earn, ``refuse`` a result in which they reach a paid
    place, or ``break`` them by a named score, which every player must then have. Players who are equal in this score too split.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["policy", "score"],
                    "properties": {"policy": {"const": "break"}, "score": _IS_GIVEN},
                },
                {
                    "properties": {
                        "policy": {"enum": ["split", "refuse"]},
                        "score": _IS_NULL,
                        "order": _IS_NULL,
                    }
                },
            ]
        }
    )

    policy: TiePolicy = Field(TiePolicy.SPLIT, examples=["split", "break"])
    score: ScoreName | None = Field(
        None, description="With break: the score that ranks equal players.", examples=["buchholz"]
    )
    order: Literal["desc", "asc"] | None = Field(
        None,
        description="With break: whether more of the score is better (desc, the default) or less.",
        examples=["desc"],
    )

    @model_validator(mode="after")
    def _score_with_break(self) -> "TiesBody":
        breaks = self.policy is TiePolicy.BREAK
        if breaks != (self.score is not None) or (self.order is not None and not breaks):
            msg = (
                "a score goes with the policy break, and only with it: name it there, leave it out elsewhere"
            )
            raise ValueError(msg)
        return self


class RankBody(_Body):
    """By the stated place, or by a named score."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["by", "score"],
                    "properties": {"by": {"const": "score"}, "score": _IS_GIVEN},
                },
                {"properties": {"by": {"const": "place"}, "score": _IS_NULL}},
            ]
        }
    )

    by: Literal["place", "score"] = Field("place", examples=["place"])
    score: ScoreName | None = Field(None, examples=[None])
    order: Literal["desc", "asc"] = Field("desc", examples=["desc"])

    @model_validator(mode="after")
    def _score_with_score(self) -> "RankBody":
        if (self.by == "score") != (self.score is not None):
            msg = (
                "a score goes with ranking by score, and only with it: name it there, leave it out elsewhere"
            )
            raise ValueError(msg)
        return self


class EntryFeeBody(_Body):
    """What entering a match costs each player."""

    amount: Amount = Field(examples=["2.50"])
    asset: AssetCode = Field(examples=["EURC"])


class _RuleBody(_Body):
    """A competition's name and rule."""

    name: Line = Field(examples=["Cup"])
    campaign: UUID = Field(examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"])
    asset: AssetCode = Field(examples=["EURC"])
    gross_prize: Amount = Field(examples=["100.00"])
    platform_fee_bps: BasisPoints | None = Field(
        None,
        description="Hundredths of a percent of the gross prize; without it PLATFORM_FEE_PERCENTAGE holds.",
        examples=[1_000],
    )
    organizer_fee_bps: BasisPoints | None = Field(
        None,
        description="The organizer's, likewise; without it ORGANIZER_FEE_PERCENTAGE holds if an organizer is named, "
        "and no fee if none is.",
        examples=[500],
    )
    organizer_player: Name | None = Field(
        None, description="Who gets the organizer's fee; an organizer's fee needs one.", examples=["org"]
    )
    template: TemplateBody = Field(examples=[{"name": "top3"}])
    ties: TiesBody = Field(
        TiesBody(), examples=[{"policy": "split"}, {"policy": "break", "score": "buchholz", "order": "desc"}]
    )
    unclaimed: Unclaimed = Field(
        Unclaimed.POOL,
        description="Where the prizes of places go that no player took: back to the pool, or spread over "
        "those who were placed, pro rata to their place prizes.",
        examples=["pool"],
    )
    rank_by: RankBody = Field(RankBody(), examples=[{"by": "place"}])
    sources: Annotated[list[SourceBody], Field(max_length=SOURCES_MAX)] = Field(
        examples=[[{"source": "/games/chess", "keys": []}]]
    )
    dispute_window_s: Annotated[int, Field(strict=True, ge=0, le=DISPUTE_WINDOW_S_MAX)] = Field(
        0, description="Seconds from a settlement until it is final.", examples=[86_400]
    )
    entry_fee: EntryFeeBody | None = Field(None, examples=[{"amount": "2.50", "asset": "EURC"}])

    def rule(
        self, competition_id: str, *, assets: AssetRegistry, platform_fee_bps: int, organizer_fee_bps: int
    ) -> Rule:
        """The rule of this body, as version 0. The fees given hold for a body that names none. A body without an
        organizer and without an organizer's fee has no organizer's fee.

        Raises:
            RuleInvalid: an asset, amount, percentage, range or public key that cannot be read.
        """
        asset = _asset(self.asset, assets, field="asset")

        def minor(text: str, field: str) -> int:
            return _minor(asset, text, field=field)

        points = self.template.per_point
        return Rule(
            competition=competition_id,
            version=0,
            campaign=self.campaign,
            asset=asset,
            gross=minor(self.gross_prize, "gross_prize"),
            platform_bps=platform_fee_bps if self.platform_fee_bps is None else self.platform_fee_bps,
            organizer_bps=self._organizer_bps(organizer_fee_bps),
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
                overflow=points.overflow,
            ),
            ties=self.ties.policy,
            tie_break=None
            if self.ties.score is None
            else TieBreak(score=self.ties.score, descending=self.ties.order != "asc"),
            unclaimed=self.unclaimed,
            rank_by=RankBy(score=self.rank_by.score, descending=self.rank_by.order == "desc"),
            sources=tuple(
                Source(source=one.source, keys=tuple(_key(key, source=one.source) for key in one.keys))
                for one in self.sources
            ),
            dispute_window=timedelta(seconds=self.dispute_window_s),
            entry_fee=None if self.entry_fee is None else _entry_fee(self.entry_fee, assets),
        )

    def _organizer_bps(self, usual: int) -> int:
        if self.organizer_fee_bps is not None:
            return self.organizer_fee_bps
        return 0 if self.organizer_player is None else usual


class CompetitionBody(_RuleBody):
    """A competition and its rule."""

    id: CompetitionId | None = Field(
        None, description="The same as in the path, or left out.", examples=[None]
    )


class NewCompetitionBody(_RuleBody):
    """A competition to create, and its rule."""

    id: CompetitionId = Field(examples=["cup"])


def _asset(code: str, assets: AssetRegistry, *, field: str) -> Asset:
    if code not in assets:
        raise RuleInvalid("asset_unknown", field=field, detail=assets.refusal_of(code))
    return assets[code]


def _minor(asset: Asset, text: str, *, field: str) -> int:
    try:
        return Money.parse(asset, text).minor
    except MoneyError as error:
        raise RuleInvalid(error.code, field=field, detail=str(error)) from None


def _entry_fee(body: EntryFeeBody, assets: AssetRegistry) -> EntryFee:
    asset = _asset(body.asset, assets, field="entry_fee.asset")
    return EntryFee(asset=asset, amount=_minor(asset, body.amount, field="entry_fee.amount"))


def _row(row: RowBody, minor: Any, *, field: str) -> PlaceRange:
    first, last = places_from_text(row.places, field=field)
    if row.percent_total is not None and row.percent_each is not None:
        detail = "a row has percent_total or percent_each, not both"
        raise RuleInvalid("row_invalid", field=field, detail=detail)
    percent = None if row.percent_total is None else percent_from_text(row.percent_total, field=field)
    if row.percent_each is not None:
        percent = percent_from_text(row.percent_each, field=field) * max(0, last - first + 1)
    return PlaceRange(
        first=first,
        last=last,
        percent_total=percent,
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
