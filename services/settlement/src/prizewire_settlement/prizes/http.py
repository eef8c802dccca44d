"""``POST /api/competitions/{id}/preview``: what a result would pay, line by line, without effect."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from litestar import Controller, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem
from prizewire_chassis.http.answers import AnswerModel
from prizewire_contracts.envelope import Version
from prizewire_contracts.events.matches import PlayerResult as ResultBody
from prizewire_money import AssetRegistry
from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.competitions.domain.rules import PLACES_MAX, score_from_text
from prizewire_settlement.competitions.handlers import known_rule
from prizewire_settlement.competitions.http.answers import (
    AmountText,
    Asset,
    CompetitionName,
    PlayerName,
    money,
)
from prizewire_settlement.competitions.http.bodies import CompetitionBody
from prizewire_settlement.competitions.http.competitions import NO_COMPETITION, RULE_CODES
from prizewire_settlement.competitions.ports import CompetitionQueries
from prizewire_settlement.errors import CompetitionMissing, ReportRefused, RuleInvalid
from prizewire_settlement.http import RESULT_CODES, STATUSES, id_mismatch, readers
from prizewire_settlement.prizes.domain import Line, PlayerResult, Prizes
from prizewire_settlement.prizes.handlers import preview


class FeesAnswer(AnswerModel):
    """The fees on a gross prize, each with the basis points from which it follows."""

    platform: Annotated[AmountText, Field(examples=["10.00"])]
    platform_bps: Annotated[int, Field(description="Of the gross prize.", examples=[1_000])]
    organizer: Annotated[AmountText, Field(examples=["5.00"])]
    organizer_bps: Annotated[int, Field(description="Of the gross prize.", examples=[500])]
    organizer_player: Annotated[
        PlayerName | None,
        Field(description="Who gets the organizer's fee. Null if nobody does.", examples=["org"]),
    ]


class LineAnswer(AnswerModel):
    """One prize."""

    line: Annotated[int, Field(description="From 1.", examples=[1])]
    player: PlayerName
    place: Annotated[int, Field(examples=[1])]
    amount: Annotated[AmountText, Field(examples=["42.50"])]


class PreviewAnswer(AnswerModel):
    """What a result would pay."""

    competition: CompetitionName
    rule_version: Annotated[
        int | None, Field(description="Null if the rule came with the request.", examples=[1])
    ]
    asset: Asset
    gross: AmountText
    fees: FeesAnswer
    net: Annotated[AmountText, Field(examples=["85.00"])]
    unclaimed: Annotated[AmountText, Field(description="What no player gets.", examples=["17.00"])]
    lines: list[LineAnswer]


def preview_answer(rule: Rule, prizes: Prizes) -> PreviewAnswer:
    """What a result would pay under a rule."""
    fees = prizes.fees
    return PreviewAnswer(
        competition=rule.competition,
        rule_version=rule.version or None,
        asset=rule.asset.code,
        gross=money(rule, fees.gross),
        fees=fees_answer(rule, platform=fees.platform, organizer=fees.organizer),
        net=money(rule, fees.net),
        unclaimed=money(rule, prizes.unclaimed),
        lines=[line_answer(line, rule=rule) for line in prizes.lines],
    )


def fees_answer(rule: Rule, *, platform: int, organizer: int) -> FeesAnswer:
    """The fees of a rule, with the basis points from which they follow."""
    return FeesAnswer(
        platform=money(rule, platform),
        platform_bps=rule.platform_bps,
        organizer=money(rule, organizer),
        organizer_bps=rule.organizer_bps,
        organizer_player=rule.organizer_player,
    )


def line_answer(line: Line, *, rule: Rule) -> LineAnswer:
    """One prize."""
    return LineAnswer(line=line.line, player=line.player, place=line.place, amount=money(rule, line.amount))


RESULTS_MAX = PLACES_MAX
"""Results that a person sends at once: as many as a rule pays places."""
RESULT_BYTES_MAX = 16 * 2**20
"""What a person's result may have: so many results with places and names of 128 letters."""


class PreviewBody(BaseModel):
    """A result as ``match.completed`` carries it, whole, and the rule that it is worked out under: the one in force unless
    ``rule_version`` names another, or ``rule`` brings one that is not stored.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "anyOf": [
                {"properties": {"rule": {"type": "null"}}},
                {"properties": {"rule_version": {"type": "null"}}},
            ]
        },
    )

    results: Annotated[list[ResultBody], Field(min_length=1, max_length=RESULTS_MAX)] = Field(
        description=f"Each player with the stated place, or named scores, or both; at most {RESULTS_MAX:,}, as many as a "
        "match may have.",
        examples=[
            [{"player": "ada", "place": 1}, {"player": "boris", "place": 2}],
            [{"player": "ada", "scores": {"points": "8.5"}}, {"player": "boris", "scores": {"points": "7"}}],
        ],
    )
    rule_version: Version | None = Field(
        None, description="A stored version of the competition's rule.", examples=[1]
    )
    rule: CompetitionBody | None = Field(
        None,
        description="A rule that is not stored, as in the body of PUT. The competition then need not exist.",
        examples=[None],
    )

    @model_validator(mode="after")
    def _one_rule(self) -> "PreviewBody":
        if self.rule is not None and self.rule_version is not None:
            msg = "a preview uses one rule: give rule or rule_version, not both"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewContext:
    """What the route needs; no part of it writes."""

    db: Database
    assets: AssetRegistry
    queries: Callable[[AsyncConnection], CompetitionQueries]
    platform_fee_bps: int
    organizer_fee_bps: int
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """A large result takes a second of processor time: one is worked out at a time, beside the event loop."""

    async def rule_of(self, competition_id: str, body: PreviewBody) -> Rule:
        """The rule that a body asks for."""
        if body.rule is not None:
            if body.rule.id is not None and body.rule.id != competition_id:
                raise id_mismatch(body.rule.id, wanted=competition_id, field="rule.id")
            return body.rule.rule(
                competition_id,
                assets=self.assets,
                platform_fee_bps=self.platform_fee_bps,
                organizer_fee_bps=self.organizer_fee_bps,
            )
        async with self.db.transaction() as tx:
            return await known_rule(
                queries=self.queries(tx), competition_id=competition_id, version=body.rule_version
            )


def preview_controller(parts: PreviewContext) -> type[Controller]:
    """For those who may read competitions. What would be refused is a problem with the refusal's code."""

    class PreviewController(Controller):
        path = "/api/competitions"
        tags = ["competitions"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/{competition_id:str}/preview",
            guards=[readers],
            status_code=200,
            summary="What a result would pay, to the minor unit, without effect",
            refusals={**NO_COMPETITION, 422: (*RULE_CODES, *RESULT_CODES)},
            request_max_body_size=RESULT_BYTES_MAX,
        )
        async def show(self, competition_id: FromPath[str], data: JSONBody[PreviewBody]) -> PreviewAnswer:
            try:
                rule = await parts.rule_of(competition_id, data)
                async with parts.turn:
                    return await asyncio.to_thread(_worked_out, rule, data.results)
            except RuleInvalid as error:
                raise Problem(
                    status=422, code=error.code, detail=error.detail, field=f"rule.{error.field}"
                ) from None
            except (CompetitionMissing, ReportRefused) as error:
                raise STATUSES.problem(error) from None

    return PreviewController


def _worked_out(rule: Rule, results: list[ResultBody]) -> PreviewAnswer:
    found = preview(rule=rule, results=[_result(one) for one in results])
    return preview_answer(found.rule, found.prizes)


def _result(body: ResultBody) -> PlayerResult:
    return PlayerResult(
        body.player, body.place, {name: score_from_text(text) for name, text in body.scores.items()}
    )
