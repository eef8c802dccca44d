"""``/api/competitions``: competitions and their rules, as people manage them."""

from dataclasses import dataclass
from typing import Any, Final

from litestar import Controller, Request, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from prizewire_chassis.auth import Principal
from prizewire_chassis.http import Action, HttpContext, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.cursors import MOMENT, TEXT, cursor_key
from prizewire_money import AssetRegistry
from prizewire_settlement.competitions.domain.model import Competition, Rule
from prizewire_settlement.competitions.handlers import create_competition, replace_rule
from prizewire_settlement.competitions.http.answers import (
    CompetitionAnswer,
    RuleAnswer,
    competition_answer,
    rule_answer,
)
from prizewire_settlement.competitions.http.bodies import CompetitionBody, NewCompetitionBody
from prizewire_settlement.competitions.ports import CompetitionQueries, UnitOfWork
from prizewire_settlement.errors import CompetitionMissing, RuleInvalid
from prizewire_settlement.http import STATUSES, admins, id_mismatch, readers

BY_TIME_AND_NAME: Final = cursor_key(MOMENT, TEXT)
NO_COMPETITION: Final = {404: ("competition_unknown",)}
RULE_CODES: Final = (
    "amount_overflow",
    "amount_too_many_decimals",
    "asset_unknown",
    "entry_fee_invalid",
    "fees_invalid",
    "id_mismatch",
    "key_twice",
    "key_validity_invalid",
    "organizer_missing",
    "per_point_invalid",
    "percent_exceeds_whole",
    "percent_invalid",
    "places_invalid",
    "places_not_contiguous",
    "prizes_exceed_net",
    "public_key_invalid",
    "row_invalid",
    "source_twice",
    "table_mixed",
    "template_empty",
    "template_unknown",
    "tie_break_invalid",
    "unclaimed_invalid",
)
"""A rule that cannot be followed (422)."""
CAMPAIGN_CODES: Final = ("asset_mismatch", "campaign_ended", "campaign_unknown")
"""A rule whose prizes rewards could never book (422)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompetitionContext(HttpContext[UnitOfWork, CompetitionQueries]):
    """What the routes of competitions share. The fees are those of a competition that names none."""

    assets: AssetRegistry
    platform_fee_bps: int
    organizer_fee_bps: int

    def rule(self, body: CompetitionBody | NewCompetitionBody, competition_id: str) -> Rule:
        """The rule in a body.

        Raises:
            Problem: 422 with the code of what is wrong with it.
        """
        try:
            return body.rule(
                competition_id,
                assets=self.assets,
                platform_fee_bps=self.platform_fee_bps,
                organizer_fee_bps=self.organizer_fee_bps,
            )
        except RuleInvalid as error:
            raise self.errors.problem(error) from None


async def _create(
    context: CompetitionContext, body: NewCompetitionBody, *, caller: Principal
) -> CompetitionAnswer:
    rule = context.rule(body, body.id)

    async def create(action: Action[UnitOfWork, CompetitionQueries]) -> Competition:
        made = await create_competition(
            unit_of_work=action.unit_of_work,
            name=body.name,
            rule=rule,
            actor=caller.subject,
            now=action.now,
        )
        await action.record("competition.created", target=made.id, detail=_audited(made.rule))
        return made

    return competition_answer(await context.change(create, actor=caller))


async def _replace(
    context: CompetitionContext, competition_id: str, body: CompetitionBody, *, caller: Principal
) -> CompetitionAnswer:
    if body.id is not None and body.id != competition_id:
        raise id_mismatch(body.id, wanted=competition_id)
    rule = context.rule(body, competition_id)

    async def replace(action: Action[UnitOfWork, CompetitionQueries]) -> Competition:
        changed, written = await replace_rule(
            unit_of_work=action.unit_of_work,
            name=body.name,
            rule=rule,
            actor=caller.subject,
            now=action.now,
        )
        if written:
            await action.record("competition.rule_changed", target=changed.id, detail=_audited(changed.rule))
        return changed

    return competition_answer(await context.change(replace, actor=caller))


def _audited(rule: Rule) -> dict[str, Any]:
    """What the audit log keeps of a rule: where prizes come from, and who may report results."""
    return {
        "rule_version": rule.version,
        "campaign": str(rule.campaign),
        "asset": rule.asset.code,
        "gross_minor": str(rule.gross),
        "organizer_player": rule.organizer_player,
        "entry_fee_minor": None if rule.entry_fee is None else str(rule.entry_fee.amount),
        "sources": [{"source": one.source, "keys": [key.keyid for key in one.keys]} for one in rule.sources],
    }


def competition_controller(context: CompetitionContext) -> type[Controller]:
    """``/api/competitions``. Written by admins alone, and every change is audited; organizers, operators and approvers
    read.
    """

    class CompetitionController(Controller):
        path = "/api/competitions"
        tags = ["competitions"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/",
            guards=[admins],
            summary="Create a competition with version 1 of its rule",
            refusals={409: ("competition_exists",), 422: (*RULE_CODES, *CAMPAIGN_CODES)},
        )
        async def create(
            self, data: JSONBody[NewCompetitionBody], request: Request[Any, Any, Any]
        ) -> CompetitionAnswer:
            return await _create(context, data, caller=request.user)

        @put(
            "/{competition_id:str}",
            guards=[admins],
            summary="Put a new rule version into force",
            refusals={**NO_COMPETITION, 422: (*RULE_CODES, *CAMPAIGN_CODES)},
        )
        async def replace(
            self,
            competition_id: FromPath[str],
            data: JSONBody[CompetitionBody],
            request: Request[Any, Any, Any],
        ) -> CompetitionAnswer:
            return await _replace(context, competition_id, data, caller=request.user)

        @get("/", guards=[readers], summary="Competitions with their rules in force, newest first")
        async def many(
            self, cursor: FromQuery[str | None] = None, limit: FromQuery[int | None] = None
        ) -> PageOf[CompetitionAnswer]:
            size, before = page_limit(limit), BY_TIME_AND_NAME.read(cursor)
            found = await context.read(lambda queries: queries.competition_page(before=before, limit=size))
            return BY_TIME_AND_NAME.page(
                found, limit=size, key=lambda one: (one.created_at, one.id), show=competition_answer
            )

        @get(
            "/{competition_id:str}",
            guards=[readers],
            summary="One competition with its rule in force",
            refusals=NO_COMPETITION,
        )
        async def one(self, competition_id: FromPath[str]) -> CompetitionAnswer:
            found = await context.read(lambda queries: queries.competition(competition_id))
            if found is None:
                raise STATUSES.problem(CompetitionMissing(competition_id))
            return competition_answer(found)

        @get(
            "/{competition_id:str}/rules/{version:int}",
            guards=[readers],
            summary="One rule version",
            refusals=NO_COMPETITION,
        )
        async def rule(self, competition_id: FromPath[str], version: FromPath[int]) -> RuleAnswer:
            if not 1 <= version < 2**31:
                raise STATUSES.problem(CompetitionMissing(competition_id))
            found = await context.read(lambda queries: queries.rule(competition_id, version))
            if found is None:
                raise STATUSES.problem(CompetitionMissing(competition_id))
            return rule_answer(found)

    return CompetitionController
