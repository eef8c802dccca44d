"""``/api/matches``: game servers without Kafka. What they report takes the very path of the topic's events."""

from dataclasses import replace
from typing import Annotated, Any, Final

import orjson
from litestar import Controller, Request, Response, post
from litestar.openapi.spec import Example
from litestar.params import Body, FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, machines
from prizewire_chassis.http import Problem
from prizewire_chassis.idempotency import check_key, idempotent
from prizewire_chassis.inbox import Incoming, Refusal
from prizewire_contracts.events.matches import RESULTS_PER_PART_MAX
from prizewire_contracts.ids import http_id, round_id
from prizewire_settlement.domain.model import Round
from prizewire_settlement.domain.rounds import PARTS_MAX
from prizewire_settlement.entrypoints.http import examples
from prizewire_settlement.entrypoints.http.match_bodies import PART_BYTES_MAX, EndBody, EntryBody
from prizewire_settlement.entrypoints.http.parts import HttpParts, IdempotencyKey, refused
from prizewire_settlement.metrics import REFUSED

__all__ = ["match_controller"]

_COMPLETED: Final = "prizewire.match.completed.v1"
_ENTERED: Final = "prizewire.match.entered.v1"
CloudEvent = Annotated[
    dict[str, Any],
    Body(
        title="CloudEvent",
        description="A match event as on prizewire.matches.v1: CloudEvents 1.0, structured JSON, signed where the "
        f"competition lists keys for its source. A result, or a correction, of more than {RESULTS_PER_PART_MAX:,} players "
        f"comes in parts (`part` of `parts`, at most {PARTS_MAX}), each an event with a request and a key of its own, and "
        "counts once all are here.",
        examples=[Example(value=examples.MATCH_EVENT)],
    ),
]


def match_controller(parts: HttpParts) -> type[Controller]:
    """``/api/matches``, for systems with the API token of a source. A report that is refused leaves nothing behind: its
    sender hears the reason, with the code that a stuck event would bear.
    """
    intake = _Intake(parts)

    class MatchController(Controller):
        path = "/api/matches"
        guards = [machines]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["matches"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/",
            status_code=202,
            summary="Report a match event",
            responses=examples.REPORTED,
            request_max_body_size=PART_BYTES_MAX,
        )
        async def report(
            self,
            data: CloudEvent,
            request: Request[Any, Any, Any],
            idempotency_key: IdempotencyKey = None,
        ) -> Response[Any]:
            del data  # for the document; the event is read as it came, which its signature covers
            incoming = intake.read(await request.body(), sender=request.user)
            route = "POST /api/matches"
            return await intake.take(incoming, route=route, key=idempotency_key, body=incoming.raw)

        @post(
            "/{match_id:str}/end",
            status_code=202,
            summary="Report a match's result, or a part of it, unsigned",
            responses=examples.REPORTED,
            request_max_body_size=PART_BYTES_MAX,
        )
        async def end(
            self,
            match_id: FromPath[str],
            data: JSONBody[EndBody],
            request: Request[Any, Any, Any],
            idempotency_key: IdempotencyKey = None,
        ) -> Response[Any]:
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
            responses=examples.REPORTED,
        )
        async def enter(
            self,
            match_id: FromPath[str],
            data: JSONBody[EntryBody],
            request: Request[Any, Any, Any],
            idempotency_key: IdempotencyKey = None,
        ) -> Response[Any]:
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

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts

    def read(self, value: bytes, *, sender: Principal) -> Incoming:
        """The event in a body; whoever issued its sender's token answers for it.

        Raises:
            Problem: with the code of what is wrong with it, or 403 ``source_not_allowed`` for another source's event.
        """
        incoming = self._parts.processor.read(self._parts.spec, value, bytes_max=PART_BYTES_MAX)
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
    ) -> Response[Any]:
        """A report that is not an event yet: it becomes one, whose id follows from source, route and key."""
        named = {name: value for name, value in body.items() if name != "correlation_id"}
        event = {
            "specversion": "1.0",
            "id": str(http_id(actor=sender.subject, route=route, idempotency_key=check_key(key))),
            "source": sender.subject,
            "type": kind,
            "time": self._parts.clock.now().isoformat(),
            "subject": match_id,
            "datacontenttype": "application/json",
            "data": {"match_id": match_id, **named},
        }
        if body.get("correlation_id") is not None:
            event["correlationid"] = body["correlation_id"]
        incoming = self.read(orjson.dumps(event), sender=sender)
        return await self.take(incoming, route=route, key=key, body=body)

    async def take(
        self, incoming: Incoming, *, route: str, key: str | None, body: dict[str, Any]
    ) -> Response[Any]:
        """Apply it once for this source, route and key.

        Raises:
            Problem: why it was refused; then nothing is kept of it, the key neither.
        """
        parts = self._parts
        event = incoming.event

        async def attempt(tx: AsyncConnection) -> Response[Any]:
            async def work(_: object) -> tuple[int, Any]:
                refusal = await parts.processor.offer(tx, parts.spec, incoming)
                if refusal is not None:
                    raise _problem(refusal)
                subject = round_id(source=event.source, match_id=event.data.match_id)
                found = (await parts.rounds(tx).rounds([subject])).get(subject)
                assert found is not None, "an event without a refusal has its round"
                return 202, _reported(found, event_id=event.id)

            answer = await idempotent(
                tx,
                actor=event.source,
                route=route,
                key=key,
                body=body,
                now=parts.clock.now(),
                work=work,
            )
            headers = {"idempotency-replayed": "true"} if answer.replayed else {}
            return Response(answer.body, status_code=answer.status, headers=headers)

        return await parts.db.run(attempt)


def _problem(refusal: Refusal) -> Problem:
    REFUSED.labels(refusal.code).inc()
    return refused(refusal.code, refusal.detail)


def _reported(found: Round, *, event_id: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "round_id": str(found.id),
        "match_id": found.match_id,
        "correlation_id": found.correlation_id,
        "state": found.state,
        "result_version": found.result_version,
        "settlement_version": found.settlement_version,
        "waiting_since": found.waiting_since,
    }
