"""``/api/rounds``: what settlement made of the matches, and what an admin decides about one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal
from prizewire_chassis.http import Problem, decode_cursor, encode_cursor, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.idempotency import idempotent
from prizewire_settlement.domain.model import ResultPart, Settlement
from prizewire_settlement.domain.results import document_of, hash_of
from prizewire_settlement.domain.states import RoundState
from prizewire_settlement.entrypoints.answers import (
    DecisionAnswer,
    LineAnswer,
    RefusalAnswer,
    RoundAnswer,
    RoundDetailAnswer,
    SettlementAnswer,
    WaitingAnswer,
    disowned_answer,
    line_answer,
    refusal_answer,
    round_answer,
    settlement_answer,
    transition_answer,
)
from prizewire_settlement.entrypoints.consumers import players_of
from prizewire_settlement.entrypoints.http.codes import CAMPAIGN_CODES, NO_ROUND, RESULT_CODES
from prizewire_settlement.entrypoints.http.match_bodies import RESULT_BYTES_MAX, ResettleBody, ResolveBody
from prizewire_settlement.entrypoints.http.parts import (
    HttpParts,
    RequiredKey,
    Words,
    answered,
    bad_cursor,
    place_of,
    readers,
    round_missing,
    writers,
)
from prizewire_settlement.entrypoints.http.sheets import CSV_TYPE, lines_csv
from prizewire_settlement.handlers.resolution import Resolved, resettle_round, resolve_round
from prizewire_settlement.metrics import LINES, ROUNDS_CORRECTED, ROUNDS_SETTLED, ROUNDS_VOIDED
from prizewire_settlement.ports import RoundFilter, RoundRecord


def round_controller(parts: HttpParts) -> type[Controller]:
    """``/api/rounds``. Those who run the place read; admins alone decide, and every decision is audited."""

    class RoundController(Controller):
        path = "/api/rounds"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", guards=[readers], summary="Rounds, newest first")
        async def many(
            self,
            *,
            competition: Words = None,
            round_state: Annotated[RoundState | None, QueryParameter(name="state")] = None,
            match_id: Words = None,
            incomplete: Annotated[
                bool, QueryParameter(description="Only rounds that wait for parts of a result.")
            ] = False,
            refused: Annotated[
                bool,
                QueryParameter(
                    description="Only rounds whose settlement rewards can never book, or that it disowned."
                ),
            ] = False,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[RoundAnswer]:
            size = page_limit(limit)
            wanted = RoundFilter(
                competition=competition,
                state=round_state,
                match_id=match_id,
                incomplete=incomplete,
                refused=refused,
            )
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).round_page(wanted, after=place_of(cursor), limit=size)
            last = [found[-1].created_at.isoformat(), str(found[-1].id)] if len(found) == size else None
            return PageOf(
                items=[round_answer(one) for one in found],
                next_cursor=encode_cursor(last) if last else None,
            )

        @get(
            "/{round_id:uuid}",
            guards=[readers],
            summary="One round with its steps, its settlement and the first 1,000 lines",
            refusals=NO_ROUND,
        )
        async def one(self, round_id: FromPath[UUID]) -> RoundDetailAnswer:
            async with parts.db.transaction() as tx:
                record = await parts.queries(tx).round(round_id)
            if record is None:
                raise round_missing(round_id)
            newest = record.settlements[-1] if record.settlements else None
            return RoundDetailAnswer(
                **dict(round_answer(record.round)),
                waiting=_waiting(record.parts, standing=record.round.result_version),
                refused=_refused(record),
                disowned=None if record.disownment is None else disowned_answer(record.disownment),
                transitions=[transition_answer(step) for step in record.transitions],
                settlement=_newest(record, newest),
                lines=[]
                if newest is None
                else [line_answer(line, rule=newest.rule) for line in newest.lines],
            )

        @get(
            "/{round_id:uuid}/lines",
            guards=[readers],
            summary="All lines of a round's newest settlement",
            refusals=NO_ROUND,
        )
        async def lines(
            self,
            round_id: FromPath[UUID],
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[LineAnswer]:
            size = page_limit(limit)
            after = decode_cursor(cursor, length=1) or [0]
            if not isinstance(after[0], int) or not 0 <= after[0] < 2**31:
                raise bad_cursor()
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).line_page(round_id, after=after[0], limit=size)
            if found is None:
                detail = f"there is no settled round {round_id}"
                raise Problem(status=404, code="round_unknown", detail=detail)
            rule, page = found
            return PageOf(
                items=[line_answer(line, rule=rule) for line in page],
                next_cursor=encode_cursor([page[-1].line]) if len(page) == size else None,
            )

        @get(
            "/{round_id:uuid}/lines.csv",
            guards=[readers],
            summary="All lines of a round's newest settlement as CSV",
            media_type=CSV_TYPE,
            refusals=NO_ROUND,
        )
        async def lines_as_csv(self, round_id: FromPath[UUID]) -> Stream:
            async with parts.db.transaction() as tx:
                found = await parts.queries(tx).newest_lines(round_id)
            if found is None:
                detail = f"there is no settled round {round_id}"
                raise Problem(status=404, code="round_unknown", detail=detail)
            version, rule, lines = found
            return Stream(
                lines_csv(round_id, version=version, rule=rule, lines=lines),
                media_type=CSV_TYPE,
                headers={"content-disposition": f'attachment; filename="round-{round_id}.csv"'},
            )

        @post(
            "/{round_id:uuid}/resolve",
            guards=[writers],
            status_code=200,
            summary="Decide about a round: let a result stand, also after finality, or void it before, or a refused one",
            refusals={**NO_ROUND, 409: ("illegal_transition", "round_disowned"), 422: RESULT_CODES},
            request_max_body_size=RESULT_BYTES_MAX,
        )
        async def resolve(
            self,
            round_id: FromPath[UUID],
            data: JSONBody[ResolveBody],
            request: Request[Any, Any, Any],
            idempotency_key: RequiredKey = None,
        ) -> Response[DecisionAnswer]:
            return await _resolve(parts, round_id, data, caller=request.user, key=idempotency_key)

        @post(
            "/{round_id:uuid}/resettle",
            guards=[writers],
            status_code=200,
            summary="Settle a refused round anew, under the rule that its competition has in force",
            refusals={
                **NO_ROUND,
                409: ("entry_fee_changed", "round_disowned", "round_not_refused", "rule_unchanged"),
                422: (*CAMPAIGN_CODES, *RESULT_CODES),
            },
        )
        async def resettle(
            self,
            round_id: FromPath[UUID],
            data: JSONBody[ResettleBody],
            request: Request[Any, Any, Any],
            idempotency_key: RequiredKey = None,
        ) -> Response[DecisionAnswer]:
            return await _resettle(parts, round_id, data, caller=request.user, key=idempotency_key)

    return RoundController


async def _resolve(
    parts: HttpParts, round_id: UUID, body: ResolveBody, *, caller: Principal, key: str | None
) -> Response[DecisionAnswer]:
    results = None if body.results is None else players_of(body.results)

    async def decide(tx: AsyncConnection, request_id: UUID) -> Resolved:
        resolved = await resolve_round(
            round_id=round_id,
            results=results,
            reason=body.reason,
            actor=caller.subject,
            request_id=request_id,
            store=parts.rounds(tx),
            events=parts.events(tx),
            now=parts.clock.now(),
            lines_per_part=parts.lines_per_part,
        )
        sha256 = None if results is None else hash_of(document_of(results)).hex()
        action = "round.voided" if results is None else "round.resolved"
        await _record(
            parts, tx, resolved, action=action, result_sha256=sha256, reason=body.reason, caller=caller
        )
        return resolved

    sent = body.model_dump(mode="json", exclude_none=True)
    return await _decide(parts, round_id, "resolve", decide, sent=sent, caller=caller, key=key)


async def _resettle(
    parts: HttpParts, round_id: UUID, body: ResettleBody, *, caller: Principal, key: str | None
) -> Response[DecisionAnswer]:
    async def decide(tx: AsyncConnection, request_id: UUID) -> Resolved:
        resolved = await resettle_round(
            round_id=round_id,
            reason=body.reason,
            actor=caller.subject,
            request_id=request_id,
            store=parts.rounds(tx),
            campaigns=parts.campaigns(tx),
            events=parts.events(tx),
            now=parts.clock.now(),
            lines_per_part=parts.lines_per_part,
        )
        await _record(
            parts,
            tx,
            resolved,
            action="round.resettled",
            result_sha256=None,
            reason=body.reason,
            caller=caller,
        )
        return resolved

    sent = body.model_dump(mode="json")
    return await _decide(parts, round_id, "resettle", decide, sent=sent, caller=caller, key=key)


async def _decide(
    parts: HttpParts,
    round_id: UUID,
    route: str,
    decide: Callable[[AsyncConnection, UUID], Awaitable[Resolved]],
    *,
    sent: dict[str, Any],
    caller: Principal,
    key: str | None,
) -> Response[DecisionAnswer]:
    """Carry out an admin's decision once for its key, and answer the round after it."""
    done: list[tuple[Resolved, int]] = []

    async def attempt(tx: AsyncConnection) -> Response[DecisionAnswer]:
        done.clear()

        async def work(request_id: UUID) -> tuple[int, Any]:
            resolved = await decide(tx, request_id)
            record = await parts.queries(tx).round(round_id)
            assert record is not None
            newest = record.settlements[-1] if record.settlements else None
            done.append((resolved, 0 if newest is None else record.lines_total[newest.version]))
            decision = DecisionAnswer(
                **dict(round_answer(record.round)),
                changed=resolved.changed,
                settlement=_newest(record, newest),
            )
            return 200, decision.model_dump(mode="json")

        answer = await idempotent(
            tx,
            actor=caller.subject,
            route=f"POST /api/rounds/{round_id}/{route}",
            key=key,
            body=sent,
            now=parts.clock.now(),
            work=work,
        )
        headers = {"idempotency-replayed": "true"} if answer.replayed else {}
        return Response(
            DecisionAnswer.model_validate(answer.body), status_code=answer.status, headers=headers
        )

    answer = await answered(parts.db.run(attempt))
    for resolved, lines in done:
        _count(resolved, lines)
    return answer


async def _record(
    parts: HttpParts,
    tx: AsyncConnection,
    resolved: Resolved,
    *,
    action: str,
    result_sha256: str | None,
    reason: str,
    caller: Principal,
) -> None:
    after = resolved.after
    await parts.audit.record(
        tx,
        actor=caller.subject,
        action=action,
        target=str(after.id),
        reason=reason,
        detail={
            "from": str(resolved.before.state),
            "to": str(after.state),
            "changed": resolved.changed,
            "rule_version": after.rule_version,
            "settlement_version": after.settlement_version,
            "result_version": after.result_version,
            "result_sha256": result_sha256,
        },
    )


def _count(resolved: Resolved, lines: int) -> None:
    if not resolved.changed:
        return
    if resolved.after.state is RoundState.VOIDED:
        ROUNDS_VOIDED.inc()
    else:
        (ROUNDS_SETTLED if resolved.after.settlement_version == 1 else ROUNDS_CORRECTED).inc()
        LINES.inc(lines)


def _newest(record: RoundRecord, newest: Settlement | None) -> SettlementAnswer | None:
    if newest is None:
        return None
    return settlement_answer(
        newest, lines_total=record.lines_total[newest.version], never_final=record.round.never_final
    )


def _refused(record: RoundRecord) -> RefusalAnswer | None:
    """Why rewards can never book the round's newest settlement; None where it does not refuse it, or disowned the round."""
    if record.round.refused_at is None or record.round.disowned_at is not None:
        return None
    newest = record.round.settlement_version
    return next((refusal_answer(one) for one in record.refusals if one.version == newest), None)


def _waiting(heads: Sequence[ResultPart], *, standing: int | None) -> WaitingAnswer | None:
    """The newest result of which parts wait, and the numbers of those that are missing."""
    waiting = [
        head
        for head in heads
        if head.parts > 1
        and head.result_version > (standing or 0)
        and (head.reason is None) == (standing is None)
    ]
    if not waiting:
        return None
    newest = max(waiting, key=lambda head: (head.result_version, head.received_at))
    here = {
        head.part
        for head in waiting
        if (head.result_version, head.parts) == (newest.result_version, newest.parts)
    }
    return WaitingAnswer(
        result_version=newest.result_version,
        parts=newest.parts,
        missing=[part for part in range(1, newest.parts + 1) if part not in here],
    )
