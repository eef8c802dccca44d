"""``/api/competitions``: competitions and their rules, as people manage them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar import Controller, Request, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Principal
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import encode_cursor, page_limit
from prizewire_chassis.http.answers import PageOf
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
from prizewire_settlement.competitions.ports import Campaigns, CompetitionQueries, CompetitionStore
from prizewire_settlement.errors import RuleInvalid
from prizewire_settlement.http import (
    answered,
    competition_missing,
    id_mismatch,
    named_place_of,
    readers,
    unusable,
    writers,
)

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
_Changed = tuple[Competition, bool]
"""A competition, and whether anything was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompetitionContext:
    """What the routes of competitions use. The fees are those of a competition that names none."""

    db: Database
    clock: Clock
    audit: Audit
    assets: AssetRegistry
    store: Callable[[AsyncConnection], CompetitionStore]
    campaigns: Callable[[AsyncConnection], Campaigns]
    queries: Callable[[AsyncConnection], CompetitionQueries]
    platform_fee_bps: int
    organizer_fee_bps: int


@dataclass(frozen=True, slots=True)
class _Writes:
    """RoundChanges to competitions: decided, stored and audited in one transaction."""

    context: CompetitionContext

    async def create(self, body: NewCompetitionBody, caller: Principal) -> CompetitionAnswer:
        """A competition with version 1 of its rule."""
        rule = self._rule(body, body.id)

        async def change(store: CompetitionStore, campaigns: Campaigns, now: datetime) -> _Changed:
            made = await create_competition(
                store=store,
                campaigns=campaigns,
                name=body.name,
                rule=rule,
                actor=caller.subject,
                now=now,
            )
            return made, True

        return await self._write(change, actor=caller.subject, action="competition.created")

    async def replace(
        self, competition_id: str, body: CompetitionBody, caller: Principal
    ) -> CompetitionAnswer:
        """The next version of a competition's rule; the version in force where the body says the same."""
        if body.id is not None and body.id != competition_id:
            raise id_mismatch(body.id, wanted=competition_id)
        rule = self._rule(body, competition_id)

        async def change(store: CompetitionStore, campaigns: Campaigns, now: datetime) -> _Changed:
            return await replace_rule(
                store=store,
                campaigns=campaigns,
                name=body.name,
                rule=rule,
                actor=caller.subject,
                now=now,
            )

        return await self._write(change, actor=caller.subject, action="competition.rule_changed")

    def _rule(self, body: CompetitionBody | NewCompetitionBody, competition_id: str) -> Rule:
        try:
            return body.rule(
                competition_id,
                assets=self.context.assets,
                platform_fee_bps=self.context.platform_fee_bps,
                organizer_fee_bps=self.context.organizer_fee_bps,
            )
        except RuleInvalid as error:
            raise unusable(error) from None

    async def _write(
        self,
        change: Callable[[CompetitionStore, Campaigns, datetime], Awaitable[_Changed]],
        *,
        actor: str,
        action: str,
    ) -> CompetitionAnswer:
        async def work(tx: AsyncConnection) -> Competition:
            context = self.context
            competition, written = await change(context.store(tx), context.campaigns(tx), context.clock.now())
            if written:
                await context.audit.record(
                    tx, actor=actor, action=action, target=competition.id, detail=_audited(competition.rule)
                )
            return competition

        return competition_answer(await answered(self.context.db.run(work)))


def _audited(rule: Rule) -> dict[str, Any]:
    """Where prizes come from, and who may say who won them."""
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
    writes = _Writes(context)

    class CompetitionController(Controller):
        path = "/api/competitions"
        tags = ["competitions"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/",
            guards=[writers],
            summary="Create a competition with version 1 of its rule",
            refusals={409: ("competition_exists",), 422: (*RULE_CODES, *CAMPAIGN_CODES)},
        )
        async def create(
            self, data: JSONBody[NewCompetitionBody], request: Request[Any, Any, Any]
        ) -> CompetitionAnswer:
            return await writes.create(data, request.user)

        @put(
            "/{competition_id:str}",
            guards=[writers],
            summary="Put a new rule version into force",
            refusals={**NO_COMPETITION, 422: (*RULE_CODES, *CAMPAIGN_CODES)},
        )
        async def replace(
            self,
            competition_id: FromPath[str],
            data: JSONBody[CompetitionBody],
            request: Request[Any, Any, Any],
        ) -> CompetitionAnswer:
            return await writes.replace(competition_id, data, request.user)

        @get("/", guards=[readers], summary="Competitions with their rules in force, newest first")
        async def many(
            self, cursor: FromQuery[str | None] = None, limit: FromQuery[int | None] = None
        ) -> PageOf[CompetitionAnswer]:
            size = page_limit(limit)
            async with context.db.transaction() as tx:
                found = await context.queries(tx).competition_page(before=named_place_of(cursor), limit=size)
            last = [found[-1].created_at.isoformat(), found[-1].id] if len(found) == size else None
            return PageOf(
                items=[competition_answer(one) for one in found],
                next_cursor=encode_cursor(last) if last else None,
            )

        @get(
            "/{competition_id:str}",
            guards=[readers],
            summary="One competition with its rule in force",
            refusals=NO_COMPETITION,
        )
        async def one(self, competition_id: FromPath[str]) -> CompetitionAnswer:
            async with context.db.transaction() as tx:
                found = await context.queries(tx).competition(competition_id)
            if found is None:
                raise competition_missing(competition_id)
            return competition_answer(found)

        @get(
            "/{competition_id:str}/rules/{version:int}",
            guards=[readers],
            summary="One rule version",
            refusals=NO_COMPETITION,
        )
        async def rule(self, competition_id: FromPath[str], version: FromPath[int]) -> RuleAnswer:
            if not 1 <= version < 2**31:
                raise competition_missing(competition_id)
            async with context.db.transaction() as tx:
                found = await context.queries(tx).rule(competition_id, version)
            if found is None:
                raise competition_missing(competition_id)
            return rule_answer(found)

    return CompetitionController
