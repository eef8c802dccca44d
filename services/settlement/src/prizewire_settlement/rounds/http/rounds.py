"""``/api/rounds``: rounds with their settlements, and decisions of admins."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from prizewire_chassis.http import BY_TIME_AND_ID, RequiredKey, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.cells import safe_cell
from prizewire_chassis.http.cursors import cursor_key, number
from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.competitions.http.answers import money
from prizewire_settlement.competitions.http.competitions import CAMPAIGN_CODES
from prizewire_settlement.errors import RoundMissing
from prizewire_settlement.http import RESULT_CODES, STATUSES, Filter, admins, readers
from prizewire_settlement.prizes.domain import Line
from prizewire_settlement.prizes.http import RESULT_BYTES_MAX, LineAnswer, line_answer
from prizewire_settlement.rounds.domain.model import ResultPart, RoundState
from prizewire_settlement.rounds.http.answers import (
    DecisionAnswer,
    RefusalAnswer,
    RoundAnswer,
    RoundDetailAnswer,
    WaitingAnswer,
    disowned_answer,
    refusal_answer,
    round_answer,
    transition_answer,
)
from prizewire_settlement.rounds.http.bodies import ResettleBody, ResolveBody
from prizewire_settlement.rounds.http.context import RoundContext
from prizewire_settlement.rounds.http.decisions import newest_answer, run_resettle, run_resolve
from prizewire_settlement.rounds.ports import RoundFilter, RoundRecord

NO_ROUND: Final = {404: ("round_unknown",)}
BY_LINE: Final = cursor_key(number(0, 2**31 - 1))


CSV_TYPE: Final = "text/csv; header=present"
_HEADER: Final = ("round_id", "settlement_version", "line", "place", "player", "asset", "amount")
_ROWS_AT_ONCE: Final = 2_000


def round_controller(context: RoundContext) -> type[Controller]:
    """``/api/rounds``. Organizers, operators and approvers read; only admins decide, and every decision is audited."""

    class RoundController(Controller):
        path = "/api/rounds"
        tags = ["rounds"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", guards=[readers], summary="Rounds, newest first")
        async def many(
            self,
            *,
            competition: Filter = None,
            round_state: Annotated[RoundState | None, QueryParameter(name="state")] = None,
            match_id: Filter = None,
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
            size, after = page_limit(limit), BY_TIME_AND_ID.read(cursor)
            wanted = RoundFilter(
                competition=competition,
                state=round_state,
                match_id=match_id,
                incomplete=incomplete,
                refused=refused,
            )
            found = await context.read(lambda queries: queries.round_page(wanted, after=after, limit=size))
            return BY_TIME_AND_ID.page(
                found, limit=size, key=lambda one: (one.created_at, one.id), show=round_answer
            )

        @get(
            "/{round_id:uuid}",
            guards=[readers],
            summary="One round with its steps, its settlement and the first 1,000 lines",
            refusals=NO_ROUND,
        )
        async def one(self, round_id: FromPath[UUID]) -> RoundDetailAnswer:
            record = await context.read(lambda queries: queries.round(round_id))
            if record is None:
                raise STATUSES.problem(RoundMissing(round_id))
            newest = record.settlements[-1] if record.settlements else None
            return RoundDetailAnswer(
                **dict(round_answer(record.round)),
                waiting=_waiting(record.parts, standing=record.round.result_version),
                refused=_refused(record),
                disowned=None if record.disownment is None else disowned_answer(record.disownment),
                transitions=[transition_answer(step) for step in record.transitions],
                settlement=newest_answer(record, newest),
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
            size, place = page_limit(limit), BY_LINE.read(cursor)
            after = 0 if place is None else place[0]
            found = await context.read(lambda queries: queries.line_page(round_id, after=after, limit=size))
            if found is None:
                raise STATUSES.problem(RoundMissing(round_id, settled=True))
            rule, lines = found
            return BY_LINE.page(
                lines, limit=size, key=lambda line: (line.line,), show=partial(line_answer, rule=rule)
            )

        @get(
            "/{round_id:uuid}/lines.csv",
            guards=[readers],
            summary="All lines of a round's newest settlement as CSV",
            media_type=CSV_TYPE,
            refusals=NO_ROUND,
        )
        async def lines_as_csv(self, round_id: FromPath[UUID]) -> Stream:
            found = await context.read(lambda queries: queries.newest_lines(round_id))
            if found is None:
                raise STATUSES.problem(RoundMissing(round_id, settled=True))
            version, rule, lines = found
            return Stream(
                lines_csv(round_id, version=version, rule=rule, lines=lines),
                media_type=CSV_TYPE,
                headers={"content-disposition": f'attachment; filename="round-{round_id}.csv"'},
            )

        @post(
            "/{round_id:uuid}/resolve",
            guards=[admins],
            status_code=200,
            summary="Settle or correct a round by a result, also after finality, or void it before finality or while it is refused",
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
            return await run_resolve(context, round_id, data, caller=request.user, key=idempotency_key)

        @post(
            "/{round_id:uuid}/resettle",
            guards=[admins],
            status_code=200,
            summary="Resettle a refused round under the rule that its competition has in force",
            refusals={
                **NO_ROUND,
                409: (
                    "entry_fee_changed",
                    "part_unproved",
                    "round_disowned",
                    "round_not_refused",
                    "rule_unchanged",
                ),
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
            return await run_resettle(context, round_id, data, caller=request.user, key=idempotency_key)

    return RoundController


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


async def lines_csv(
    round_id: UUID, *, version: int, rule: Rule, lines: Sequence[Line]
) -> AsyncIterator[bytes]:
    """A header and all lines, some at a time."""
    yield _rows([_HEADER])
    for start in range(0, len(lines), _ROWS_AT_ONCE):
        yield _rows(
            (
                str(round_id),
                str(version),
                str(line.line),
                str(line.place),
                line.player,
                rule.asset.code,
                money(rule, line.amount),
            )
            for line in lines[start : start + _ROWS_AT_ONCE]
        )


def _rows(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[safe_cell(cell) for cell in row] for row in rows])
    return text.getvalue().encode()
