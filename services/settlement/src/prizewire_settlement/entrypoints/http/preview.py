"""``POST /api/competitions/{id}/preview``: what a result would pay, line by line, without effect."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from litestar import Controller, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Role, require
from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem
from prizewire_contracts.envelope import Version
from prizewire_contracts.events.matches import PlayerResult as ResultBody
from prizewire_money import AssetRegistry
from prizewire_settlement.domain.errors import ReportRefused, RuleInvalid
from prizewire_settlement.domain.model import PlayerResult, Rule
from prizewire_settlement.domain.results import score_from_text
from prizewire_settlement.entrypoints.answers import PreviewAnswer, preview_answer
from prizewire_settlement.entrypoints.bodies import CompetitionBody
from prizewire_settlement.entrypoints.http.codes import NO_COMPETITION, RESULT_CODES, RULE_CODES
from prizewire_settlement.entrypoints.http.match_bodies import RESULT_BYTES_MAX, RESULTS_MAX
from prizewire_settlement.entrypoints.http.parts import competition_missing, id_mismatch
from prizewire_settlement.handlers.competitions import CompetitionMissing
from prizewire_settlement.handlers.preview import known_rule, preview
from prizewire_settlement.ports import Queries

_readers = require(Role.ORGANIZER, Role.OPERATOR, Role.APPROVER, Role.ADMIN)


class PreviewBody(BaseModel):
    """A result as ``match.completed`` carries it, whole, and the rule to hold it against: the one in force unless
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
        description="A rule as it would be put; then the competition need not exist.",
        examples=[None],
    )

    @model_validator(mode="after")
    def _one_rule(self) -> "PreviewBody":
        if self.rule is not None and self.rule_version is not None:
            msg = "a preview is held against one rule: rule, or rule_version"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewParts:
    """What the route stands on; nothing of it writes."""

    db: Database
    assets: AssetRegistry
    queries: Callable[[AsyncConnection], Queries]
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


def preview_controller(parts: PreviewParts) -> type[Controller]:
    """For those who may read competitions. What would be refused is a problem with the refusal's code."""

    class PreviewController(Controller):
        path = "/api/competitions"
        tags = ["competitions"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/{competition_id:str}/preview",
            guards=[_readers],
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
            except CompetitionMissing:
                raise competition_missing(competition_id) from None
            except RuleInvalid as error:
                raise Problem(
                    status=422, code=error.code, detail=error.detail, field=f"rule.{error.field}"
                ) from None
            except ReportRefused as refused:
                raise Problem(status=422, code=refused.reason, detail=refused.detail) from None

    return PreviewController


def _worked_out(rule: Rule, results: list[ResultBody]) -> PreviewAnswer:
    found = preview(rule=rule, results=[_result(one) for one in results])
    return preview_answer(found.rule, found.prizes)


def _result(body: ResultBody) -> PlayerResult:
    return PlayerResult(
        body.player, body.place, {name: score_from_text(text) for name, text in body.scores.items()}
    )
