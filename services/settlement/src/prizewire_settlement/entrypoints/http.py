"""Competitions and rounds over HTTP."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from litestar import Controller, Request, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Page, Problem, decode_cursor, encode_cursor, page_limit
from prizewire_money import AssetRegistry
from prizewire_settlement.domain.errors import RuleInvalid
from prizewire_settlement.domain.model import Competition, Rule
from prizewire_settlement.domain.states import RoundState
from prizewire_settlement.entrypoints.bodies import (
    CompetitionBody,
    competition_json,
    line_json,
    round_json,
    rule_json,
    settlement_json,
    transition_json,
)
from prizewire_settlement.handlers.competitions import (
    CompetitionExists,
    CompetitionMissing,
    create_competition,
    replace_rule,
)
from prizewire_settlement.ports import CompetitionStore, Queries, RoundFilter

__all__ = ["HttpParts", "competition_controller", "round_controller"]

T = TypeVar("T")
Words = Annotated[str | None, QueryParameter(max_length=256, pattern=r"^[^\x00-\x1f]+$")]
_writers = require(Role.ADMIN)
_readers = require(Role.ORGANIZER, Role.OPERATOR, Role.APPROVER, Role.ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """What the routes stand on."""

    db: Database
    clock: Clock
    audit: Audit
    assets: AssetRegistry
    store: Callable[[AsyncConnection], CompetitionStore]
    queries: Callable[[AsyncConnection], Queries]
    platform_fee_bps: int
    organizer_fee_bps: int


@dataclass(frozen=True, slots=True)
class _Writes:
    """Changes to competitions: decided, stored and audited in one transaction."""

    parts: HttpParts

    async def create(self, body: CompetitionBody, caller: Principal) -> dict[str, Any]:
        """A competition with version 1 of its rule."""
        if body.id is None:
            raise Problem(status=400, code="invalid_request", detail="id: a competition needs one")
        rule = self._rule(body, body.id)

        async def change(store: CompetitionStore, now: datetime) -> Competition:
            return await create_competition(
                store=store, name=body.name, rule=rule, actor=caller.subject, now=now
            )

        return await self._write(change, actor=caller.subject, action="competition.created")

    async def replace(self, competition_id: str, body: CompetitionBody, caller: Principal) -> dict[str, Any]:
        """The next version of a competition's rule."""
        if body.id is not None and body.id != competition_id:
            raise Problem(status=400, code="invalid_request", detail="id: it differs from the path")
        rule = self._rule(body, competition_id)

        async def change(store: CompetitionStore, now: datetime) -> Competition:
            return await replace_rule(store=store, name=body.name, rule=rule, actor=caller.subject, now=now)

        return await self._write(change, actor=caller.subject, action="competition.rule_changed")

    def _rule(self, body: CompetitionBody, competition_id: str) -> Rule:
        try:
            return body.rule(
                competition_id,
                assets=self.parts.assets,
                platform_fee_bps=self.parts.platform_fee_bps,
                organizer_fee_bps=self.parts.organizer_fee_bps,
            )
        except RuleInvalid as error:
            raise _unusable(error) from None

    async def _write(
        self,
        change: Callable[[CompetitionStore, datetime], Awaitable[Competition]],
        *,
        actor: str,
        action: str,
    ) -> dict[str, Any]:
        async def work(tx: AsyncConnection) -> Competition:
            changed = await change(self.parts.store(tx), self.parts.clock.now())
            await self.parts.audit.record(
                tx, actor=actor, action=action, target=changed.id, detail=_audited(changed.rule)
            )
            return changed

        return competition_json(await _answered(self.parts.db.run(work)))


def _audited(rule: Rule) -> dict[str, Any]:
    """Where prizes come from, and who may say who won them."""
    return {
        "rule_version": rule.version,
        "campaign": str(rule.campaign),
        "asset": rule.asset.code,
        "gross_minor": str(rule.gross),
        "organizer_player": rule.organizer_player,
        "sources": [{"source": one.source, "keys": [key.keyid for key in one.keys]} for one in rule.sources],
    }


def competition_controller(parts: HttpParts) -> type[Controller]:
    """``/api/competitions``. Written by admins alone, and every change is audited; organizers, operators and approvers
    read.
    """
    writes = _Writes(parts)

    class CompetitionController(Controller):
        path = "/api/competitions"
        tags = ["competitions"]  # noqa: RUF012 - Litestar reads a plain list

        @post("/", guards=[_writers], summary="Create a competition with version 1 of its rule")
        async def create(
            self, data: JSONBody[CompetitionBody], request: Request[Any, Any, Any]
        ) -> dict[str, Any]:
            return await writes.create(data, request.user)

        @put("/{competition_id:str}", guards=[_writers], summary="Put a new rule version into force")
        async def replace(
            self,
            competition_id: FromPath[str],
            data: JSONBody[CompetitionBody],
            request: Request[Any, Any, Any],
        ) -> dict[str, Any]:
            return await writes.replace(competition_id, data, request.user)

        @get("/", guards=[_readers], summary="Competitions with their rules in force")
        async def many(
            self, cursor: FromQuery[str | None] = None, limit: FromQuery[int | None] = None
        ) -> Page:
            after = decode_cursor(cursor, length=1) or [""]
            if not isinstance(after[0], str) or "\x00" in after[0]:
                raise _bad_cursor()
            size = page_limit(limit)
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).competition_page(after=after[0], limit=size)
            return {
                "items": [competition_json(one) for one in found],
                "next_cursor": encode_cursor([found[-1].id]) if len(found) == size else None,
            }

        @get("/{competition_id:str}", guards=[_readers], summary="One competition with its rule in force")
        async def one(self, competition_id: FromPath[str]) -> dict[str, Any]:
            if "\x00" in competition_id:
                raise _missing(competition_id)
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).competition(competition_id)
            if found is None:
                raise _missing(competition_id)
            return competition_json(found)

        @get("/{competition_id:str}/rules/{version:int}", guards=[_readers], summary="One rule version")
        async def rule(self, competition_id: FromPath[str], version: FromPath[int]) -> dict[str, Any]:
            if "\x00" in competition_id or not 1 <= version < 2**31:
                raise _missing(competition_id)
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).rule(competition_id, version)
            if found is None:
                raise _missing(competition_id)
            return {"id": found.competition, **rule_json(found)}

    return CompetitionController


def round_controller(parts: HttpParts) -> type[Controller]:
    """``/api/rounds``: what settlement made of the matches."""

    class RoundController(Controller):
        path = "/api/rounds"
        guards = [_readers]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Rounds, newest first")
        async def many(
            self,
            competition: Words = None,
            round_state: Annotated[RoundState | None, QueryParameter(name="state")] = None,
            match_id: Words = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> Page:
            size = page_limit(limit)
            wanted = RoundFilter(competition=competition, state=round_state, match_id=match_id)
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).round_page(wanted, after=_place(cursor), limit=size)
            last = [found[-1].created_at.isoformat(), str(found[-1].id)] if len(found) == size else None
            return {
                "items": [round_json(one) for one in found],
                "next_cursor": encode_cursor(last) if last else None,
            }

        @get("/{round_id:uuid}", summary="One round with its steps, its settlement and the first 1,000 lines")
        async def one(self, round_id: FromPath[UUID]) -> dict[str, Any]:
            async with parts.db.transaction() as tx:
                record = await parts.queries(tx).round(round_id)
            if record is None:
                raise Problem(status=404, code="round_unknown", detail=f"there is no round {round_id}")
            newest = record.settlements[-1] if record.settlements else None
            return {
                **round_json(record.round),
                "transitions": [transition_json(step) for step in record.transitions],
                "settlement": None
                if newest is None
                else settlement_json(newest, lines_total=record.lines_total[newest.version]),
                "lines": []
                if newest is None
                else [line_json(line, rule=newest.rule) for line in newest.lines],
            }

        @get("/{round_id:uuid}/lines", summary="All lines of a round's newest settlement")
        async def lines(
            self,
            round_id: FromPath[UUID],
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> Page:
            size = page_limit(limit)
            after = decode_cursor(cursor, length=1) or [0]
            if not isinstance(after[0], int) or not 0 <= after[0] < 2**31:
                raise _bad_cursor()
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).line_page(round_id, after=after[0], limit=size)
            if found is None:
                detail = f"there is no settled round {round_id}"
                raise Problem(status=404, code="round_unknown", detail=detail)
            rule, page = found
            return {
                "items": [line_json(line, rule=rule) for line in page],
                "next_cursor": encode_cursor([page[-1].line]) if len(page) == size else None,
            }

    return RoundController


async def _answered(work: Awaitable[T]) -> T:
    """Business errors as problems."""
    try:
        return await work
    except RuleInvalid as error:
        raise _unusable(error) from None
    except CompetitionExists as error:
        detail = f"there is a competition {error} already; PUT changes its rule"
        raise Problem(status=409, code="competition_exists", detail=detail) from None
    except CompetitionMissing as error:
        raise _missing(str(error)) from None


def _unusable(error: RuleInvalid) -> Problem:
    return Problem(status=422, code=error.code, detail=error.detail, field=error.field)


def _missing(competition_id: str) -> Problem:
    detail = f"there is no competition {competition_id}, or no such version of its rule"
    return Problem(status=404, code="competition_unknown", detail=detail)


def _bad_cursor() -> Problem:
    return Problem(status=400, code="cursor_invalid", detail="the cursor is not one that this route gave")


def _place(cursor: str | None) -> tuple[datetime, UUID] | None:
    values = decode_cursor(cursor, length=2)
    if values is None:
        return None
    try:
        at, round_id = datetime.fromisoformat(values[0]), UUID(values[1])
    except (TypeError, ValueError, AttributeError):
        raise _bad_cursor() from None
    if at.tzinfo is None:
        raise _bad_cursor()
    return at, round_id
