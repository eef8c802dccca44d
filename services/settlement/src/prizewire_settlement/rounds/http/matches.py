"""``/api/matches``: reports of game servers without Kafka. They are processed in the same way as events of the topic."""

from dataclasses import replace
from typing import Annotated, Any, Final

import orjson
from litestar import Controller, Request, Response, post
from litestar.params import Body, FromPath, JSONBody

from prizewire_chassis.auth import Principal, machines
from prizewire_chassis.http import Problem, RequiredKey
from prizewire_chassis.idempotency import check_key
from prizewire_chassis.inbox import Incoming, Refusal
from prizewire_contracts.ids import http_id, round_id
from prizewire_settlement.http import (
    ADMISSION_CODES,
    RESULT_CODES,
    UNREADABLE_CODES,
    report_problem,
)
from prizewire_settlement.metrics import REFUSED
from prizewire_settlement.rounds.http.answers import ReportAnswer, report_answer
from prizewire_settlement.rounds.http.bodies import PART_BYTES_MAX, EndBody, EntryBody, EventBody
from prizewire_settlement.rounds.http.context import RoundAction, RoundContext

_COMPLETED: Final = "prizewire.match.completed.v1"
_ENTERED: Final = "prizewire.match.entered.v1"
CloudEvent = Annotated[EventBody, Body(title="CloudEvent")]
_STATE_CODES: Final = (
    "correlation_mismatch",
    "event_mismatch",
    "id_conflict",
    "illegal_transition",
    "subject_parked",
)


def match_controller(context: RoundContext) -> type[Controller]:
    """``/api/matches``, for systems with the API token of a source. Nothing of a refused report is stored: its sender gets
    the reason, with the code that a stuck event would have.
    """
    intake = _Intake(context)

    class MatchController(Controller):
        path = "/api/matches"
        guards = [machines]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["matches"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/",
            status_code=202,
            summary="Report a match event",
            refusals={
                400: UNREADABLE_CODES,
                403: ADMISSION_CODES,
                409: (
                    *_STATE_CODES,
                    "dispute_window_passed",
                    "part_unproved",
                    "result_conflict",
                    "result_missing",
                ),
                422: ("competition_unknown", "entry_not_offered", *RESULT_CODES),
            },
            request_max_body_size=PART_BYTES_MAX,
        )
        async def report(
            self,
            data: CloudEvent,
            request: Request[Any, Any, Any],
            idempotency_key: RequiredKey = None,
        ) -> Response[ReportAnswer]:
            del data  # for the OpenAPI document; the event is read from its bytes, which the signature covers
            incoming = intake.read(await request.body(), sender=request.user)
            route = "POST /api/matches"
            return await intake.take(
                incoming, sender=request.user, route=route, key=idempotency_key, body=incoming.raw
            )

        @post(
            "/{match_id:str}/end",
            status_code=202,
            summary="Report a match's result, or a part of it, unsigned",
            refusals={
                400: ("schema_invalid",),
                403: ("source_not_allowed", "signature_missing"),
                409: (*_STATE_CODES, "part_unproved", "result_conflict"),
                413: ("message_too_large",),
                422: ("competition_unknown", *RESULT_CODES),
            },
            request_max_body_size=PART_BYTES_MAX,
        )
        async def end(
            self,
            match_id: FromPath[str],
            data: JSONBody[EndBody],
            request: Request[Any, Any, Any],
            idempotency_key: RequiredKey = None,
        ) -> Response[ReportAnswer]:
            return await intake.fact(
                _COMPLETED,
                data.model_dump(mode="json"),
                match_id=match_id,
                sender=request.user,
                route=f"POST /api/matches/{match_id}/end",
                key=idempotency_key,
            )

        @post(
            "/{match_id:str}/entries",
            status_code=202,
            summary="Report that a player enters a match, unsigned",
            refusals={
                400: ("schema_invalid",),
                403: ("source_not_allowed", "signature_missing"),
                409: _STATE_CODES,
                422: ("competition_unknown", "entry_not_offered"),
            },
        )
        async def enter(
            self,
            match_id: FromPath[str],
            data: JSONBody[EntryBody],
            request: Request[Any, Any, Any],
            idempotency_key: RequiredKey = None,
        ) -> Response[ReportAnswer]:
            return await intake.fact(
                _ENTERED,
                data.model_dump(mode="json"),
                match_id=match_id,
                sender=request.user,
                route=f"POST /api/matches/{match_id}/entries",
                key=idempotency_key,
            )

    return MatchController


class _Intake:
    """One report over HTTP: read, admitted, deduplicated and applied as one from Kafka."""

    def __init__(self, context: RoundContext) -> None:
        self._context = context

    def read(self, value: bytes, *, sender: Principal) -> Incoming:
        """The event in a body; the person who issued the sender's token answers for it.

        Raises:
            Problem: with the code of what is wrong with it, or 403 ``source_not_allowed`` for another source's event.
        """
        incoming = self._context.processor.read(self._context.spec, value, bytes_max=PART_BYTES_MAX)
        if isinstance(incoming, Refusal):
            raise _problem(incoming)
        if incoming.event.source != sender.subject:
            REFUSED.labels("source_not_allowed").inc()
            detail = f"this token is bound to {sender.subject}, not to {incoming.event.source}"
            raise Problem(status=403, code="source_not_allowed", detail=detail)
        return replace(incoming, answers_for=sender.issued_by)

    async def fact(
        self,
        kind: str,
        body: dict[str, Any],
        *,
        match_id: str,
        sender: Principal,
        route: str,
        key: str | None,
    ) -> Response[ReportAnswer]:
        """The event for a report that is not one yet; its id follows from source, route and key."""
        named = {name: value for name, value in body.items() if name != "correlation_id"}
        event = {
            "specversion": "1.0",
            "id": str(http_id(actor=sender.subject, route=route, idempotency_key=check_key(key))),
            "source": sender.subject,
            "type": kind,
            "time": self._context.clock.now().isoformat(),
            "subject": match_id,
            "datacontenttype": "application/json",
            "data": {"match_id": match_id, **named},
        }
        if body.get("correlation_id") is not None:
            event["correlationid"] = body["correlation_id"]
        incoming = self.read(orjson.dumps(event), sender=sender)
        return await self.take(incoming, sender=sender, route=route, key=key, body=body)

    async def take(
        self, incoming: Incoming, *, sender: Principal, route: str, key: str | None, body: dict[str, Any]
    ) -> Response[ReportAnswer]:
        """Apply it once for this source, route and key.

        Raises:
            Problem: with the reason of the refusal; nothing of the report is stored, not even the key.
        """
        context = self._context
        event = incoming.event

        async def apply(action: RoundAction) -> tuple[int, ReportAnswer]:
            refusal = await context.processor.offer(action.tx, context.spec, incoming)
            if refusal is not None:
                raise _problem(refusal)
            subject = round_id(source=event.source, match_id=event.data.match_id)
            found = (await action.unit_of_work.rounds([subject])).get(subject)
            assert found is not None, "an event without a refusal has its round"
            return 202, report_answer(found, event_id=event.id)

        return await context.once(apply, answers=ReportAnswer, actor=sender, route=route, key=key, body=body)


def _problem(refusal: Refusal) -> Problem:
    REFUSED.labels(refusal.code).inc()
    return report_problem(refusal.code, refusal.detail)
