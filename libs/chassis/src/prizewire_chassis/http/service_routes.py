"""Routes that each service serves about itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from heapq import merge
from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit, AuditTable, newest_published
from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.checks import Check, common_checks
from prizewire_chassis.db import Database, is_transient
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.audit_routes import audit_steps
from prizewire_chassis.http.cursors import cursor_key, number
from prizewire_chassis.http.document import openapi_document
from prizewire_chassis.http.lineage import Lineage
from prizewire_chassis.http.paging import page_limit
from prizewire_chassis.http.service_answers import (
    CheckAnswer,
    ChecksAnswer,
    DiscardedAnswer,
    LineageAnswer,
    LineageStep,
    ReplayedAnswer,
    StuckEventAnswer,
    StuckEventSummary,
)
from prizewire_chassis.logging import get_logger
from prizewire_chassis.problems import Problem
from prizewire_chassis.stuck_events import (
    ID_MAX,
    Discards,
    NotReplayable,
    ReplayAnswer,
    StuckEvents,
    StuckState,
)
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.text import Reason
from prizewire_contracts.topics import AUDIT

_log = get_logger(__name__)
_CORRELATION = text("SELECT correlation_id FROM stuck_events WHERE id = :id")
_FOR_ADMINS = "not shown: the message is an audit record, which only an admin may read"
_BY_NUMBER = cursor_key(number(0, ID_MAX))
_REPLAY_STATUS = {
    "not_found": 404,
    "already_replayed": 409,
    "already_discarded": 409,
    "consumer_unknown": 409,
    "not_head": 409,
    "admin_needed": 403,
}


async def _checked(db: Database, check: Check) -> CheckAnswer:
    """The answer about one check. A check that fails, such as on a row that cannot be read, is a breach itself, so that the
    answers about the others are still given.
    """
    try:
        async with db.transaction(limited=False) as tx:
            breaches = await check.run(tx)
            looked_at = None if check.count is None else await check.count(tx)
    except Exception as error:
        if is_transient(error):
            raise
        _log.exception("a check could not be run", invariant=check.name)
        breach = f"the check could not be run ({type(error).__name__}): a row may be unreadable; see the service's log"
        return CheckAnswer(name=check.name, ok=False, breaches=[breach], looked_at=None)
    return CheckAnswer(name=check.name, ok=not breaches, breaches=breaches[:50], looked_at=looked_at)


def service_controller(
    *,
    service: str,
    db: Database,
    stuck: StuckEvents,
    lineage: Lineage,
    checks: Sequence[Check],
    audit: Audit,
) -> type[Controller]:
    """The controller under ``/api/services/<service>``. The service's own checks come first, then those of its stuck
    events, its outbox and its audit chain.

    The OpenAPI document is for everybody; all else is for operators and admins.
    """
    operator = [require(Role.OPERATOR, Role.ADMIN)]
    table = AuditTable(service, newest_published(service))
    discards = Discards(stuck=stuck, audit=audit)
    every_check = [*checks, *common_checks(service=service, stuck=stuck)]

    class ServiceController(Controller):
        path = f"/api/services/{service}"
        tags = ["service"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/lineage/{correlation_id:str}",
            guards=operator,
            summary="This service's steps of one correlation id",
        )
        async def lineage(self, correlation_id: FromPath[str]) -> LineageAnswer:
            """The steps as the service recorded them, each with the audit records of what persons did, by time."""
            async with db.transaction() as tx:
                own = await lineage(tx, correlation_id)
                audited = audit_steps(await table.of_correlation(tx, correlation_id), service=service)
            # an action's own steps stay in their order, and come before its record
            entries = merge(own, audited, key=lambda entry: entry.at)
            steps = [LineageStep(**asdict(entry)) for entry in entries]
            return LineageAnswer(service=service, entries=steps)

        @get("/stuck-events", guards=operator, summary="Dead and parked events")
        async def stuck_events(
            self,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
            stuck_state: Annotated[StuckState | None, QueryParameter(name="state")] = None,
            correlation_id: FromQuery[str | None] = None,
        ) -> PageOf[StuckEventSummary]:
            after, size = _BY_NUMBER.read(cursor), page_limit(limit)
            items = await stuck.page(
                after=0 if after is None else after[0],
                limit=size,
                state=stuck_state,
                correlation_id=correlation_id,
            )
            return _BY_NUMBER.page(
                items, limit=size, key=lambda item: (item["id"],), show=lambda item: StuckEventSummary(**item)
            )

        @get("/stuck-events/{stuck_id:int}", guards=operator, summary="One stuck event with its message")
        async def stuck_event(
            self, stuck_id: FromPath[int], request: Request[Principal, Any, Any]
        ) -> StuckEventAnswer:
            """The message of an audit record is for admins: others get a sentence instead."""
            try:
                found = await stuck.show(stuck_id)
            except NotReplayable as error:
                raise _problem(error) from None
            return _stuck_answer(found, request.user)

        @post(
            "/stuck-events/{stuck_id:int}/replay",
            status_code=200,
            guards=operator,
            summary="Send a stuck event again",
            refusals={409: ("already_replayed", "already_discarded", "consumer_unknown", "not_head")},
        )
        async def replay(self, stuck_id: FromPath[int], request: Request[Any, Any, Any]) -> ReplayedAnswer:
            actor = request.user.subject
            record = _ReplayRecords(audit, actor, stuck_id)
            try:
                answer = await stuck.replay(stuck_id, actor=actor, record=record)
            except NotReplayable as error:
                raise _problem(error) from None
            return ReplayedAnswer(**asdict(answer))

        @post(
            "/stuck-events/{stuck_id:int}/discard",
            status_code=200,
            guards=operator,
            summary="Discard a stuck event for good",
            refusals={
                403: ("forbidden", "admin_needed"),
                404: ("not_found",),
                409: ("already_replayed", "already_discarded", "not_head"),
            },
        )
        async def discard(
            self, stuck_id: FromPath[int], data: JSONBody[DiscardBody], request: Request[Principal, Any, Any]
        ) -> DiscardedAnswer:
            """Only the head of a subject can be discarded. It stays listed as discarded, and the events behind it are
            applied at once. Where money may wait for it, or earlier versions are missing, only an admin may discard it.
            """
            user = request.user
            try:
                answer = await discards.discard(
                    stuck_id,
                    actor=user.subject,
                    reason=data.reason,
                    may_hold_money=user.has(Role.ADMIN),
                    record=_ReplayRecords(audit, user.subject, stuck_id),
                )
            except NotReplayable as error:
                raise _problem(error) from None
            return DiscardedAnswer(**asdict(answer))

        @get("/checks", guards=operator, summary="The invariants of this service, checked now")
        async def checks(self) -> ChecksAnswer:
            return ChecksAnswer(service=service, checks=[await _checked(db, one) for one in every_check])

        @get("/schema", include_in_schema=False)
        async def schema(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
            """This service's OpenAPI document, for everybody, also through the gateway."""
            return openapi_document(request.app)

        @get("/codes", guards=operator, summary="Stable reasons of stuck events")
        async def codes(self) -> list[str]:
            return [str(code) for code in RefusalCode]

    return ServiceController


def _stuck_answer(found: dict[str, Any], user: Principal) -> StuckEventAnswer:
    """A stuck event as this caller may see it."""
    if found["topic"] == AUDIT.name and not user.has(Role.ADMIN):
        found = {**found, "message": _FOR_ADMINS}
    return StuckEventAnswer(**found)


class DiscardBody(BaseModel):
    """Why a stuck event is discarded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Reason = Field(
        description="Why. It is stored with the event and in the audit chain.",
        examples=["its reason held a NUL; the cancel was sent again"],
    )


@dataclass(frozen=True, slots=True)
class _ReplayRecords:
    """Writes one audit record for each replayed event: the one of the request (``asked``), and those behind it."""

    audit: Audit
    actor: str
    asked: int

    async def __call__(self, tx: AsyncConnection, sent: int, answer: ReplayAnswer) -> None:
        detail = {"state": answer.state, "reason": answer.reason, "detail": answer.detail}
        if sent != self.asked:
            detail["behind"] = str(self.asked)
        correlation_id = (await tx.execute(_CORRELATION, {"id": sent})).scalar_one_or_none()
        await self.audit.record(
            tx,
            actor=self.actor,
            action="stuck_event.replayed",
            target=str(sent),
            detail=detail,
            correlation_id=correlation_id,
        )


def _problem(error: NotReplayable) -> Problem:
    details = {
        "not_found": "there is no such stuck event",
        "already_replayed": "this event was already replayed and applied",
        "already_discarded": "this event was already discarded",
        "admin_needed": "money may wait for events of this type, or earlier versions are missing: an admin must discard it",
        "consumer_unknown": "the consumer of this event no longer exists in this release",
        "not_head": f"an earlier event of the same subject is parked: replay or discard {error.head} first",
    }
    return Problem(status=_REPLAY_STATUS[error.code], code=error.code, detail=details[error.code])
