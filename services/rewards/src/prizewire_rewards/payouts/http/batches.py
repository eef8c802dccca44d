"""``/api/payouts/batches``: files of operators' payouts out of a funding account."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, Self
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import BY_TIME_AND_ID, Problem, RequiredKey, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_chassis.idempotency import check_key
from prizewire_contracts.text import Line, Reason
from prizewire_rewards import metrics
from prizewire_rewards.http.bodies import AssetCode, Body, Decimal, Money, Person, only
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction
from prizewire_rewards.payouts.domain import batches
from prizewire_rewards.payouts.domain.batches import BatchView, FiledLine, JudgedLine, LineState, total_of
from prizewire_rewards.payouts.domain.commands import FileBatch
from prizewire_rewards.payouts.domain.funding import Destination
from prizewire_rewards.payouts.domain.inline import InlineDestination
from prizewire_rewards.payouts.domain.model import Payout, PayoutState
from prizewire_rewards.payouts.handlers.batches import file_batch, judge_batch
from prizewire_rewards.payouts.http.bodies import STELLAR_EXAMPLE, DestinationBody, FundingName
from prizewire_rewards.payouts.http.inline import InlineMethodBody, marked, read_inline
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools
from prizewire_rewards.payouts.storage.batches import list_batches
from prizewire_rewards.payouts.storage.payouts import payouts_of
from prizewire_rewards.payouts.storage.views import list_fundings

_Context = Context[PayoutPorts, PayoutTools]
_Action = RewardsAction[PayoutPorts]
_READERS = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


_LINE_EXAMPLE: Final[JsonDict] = {
    "reference": "caster-2026-04-ana",
    "amount": "250.00",
    "destination": {"type": "stellar", "address": STELLAR_EXAMPLE, "memo": "invoice 77"},
}


class BatchLineBody(Body):
    """One payout of a file, to `destination` or to the details in `method`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [_LINE_EXAMPLE],
            "oneOf": [
                only("destination", without=("method",)),
                only("method", without=("destination",)),
            ],
        }
    )

    reference: Line = Field(
        description="Your own id of the payout. The account pays once under it: the same line again is not paid again.",
        examples=["caster-2026-04-ana"],
    )
    amount: Decimal = Field(description="In the account's asset.", examples=["250.00"])
    destination: DestinationBody | None = None
    method: InlineMethodBody | None = None

    @model_validator(mode="after")
    def _one_destination(self) -> Self:
        if (self.destination is None) == (self.method is None):
            msg = "name either destination or method"
            raise ValueError(msg)
        return self


class BatchBody(Body):
    """A file of payouts out of one funding account. All lines are filed, or none."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {
                    "funding_account": "marketing",
                    "reason": "casters, April",
                    "dry_run": True,
                    "lines": [_LINE_EXAMPLE],
                }
            ]
        },
    )

    funding_account: FundingName = Field(examples=["marketing"])
    reason: Reason = Field(description="The purpose of the payouts.", examples=["casters, April"])
    dry_run: bool = Field(
        False, strict=True, description="Answer what would be filed, and file nothing.", examples=[True]
    )
    lines: Annotated[list[BatchLineBody], Field(min_length=1, max_length=batches.LINES_MAX)]


class BatchLineAnswer(AnswerModel):
    """One line of a file."""

    line: Annotated[int, Field(description="Its place in the file, from 1.", examples=[1])]
    reference: Annotated[str, Field(examples=["caster-2026-04-ana"])]
    state: Annotated[
        LineState,
        Field(
            description="`repeated`: the account pays, or has paid, this line already; it is not filed again.",
            examples=["accepted"],
        ),
    ]
    code: Annotated[str | None, Field(description="Why it is refused.", examples=[None])]
    detail: Annotated[str | None, Field(description="The code as a sentence.", examples=[None])]
    payout_id: Annotated[Id | None, Field(description="Null where nothing is filed.")]
    batch_id: Annotated[
        Id | None, Field(description="The batch of that payout, of a `repeated` line an earlier one.")
    ]
    destination: Annotated[str | None, Field(description="Masked.", examples=["DE89…3000"])]
    amount: Annotated[str, Field(description="As it was sent.", examples=["250.00"])]


class BatchSum(AnswerModel):
    """The lines in one state, and the sum of their amounts."""

    lines: Annotated[int, Field(examples=[3])]
    amount: Money


class BatchTotals(AnswerModel):
    """The sums of a file by the state of its lines."""

    accepted: BatchSum
    repeated: BatchSum
    refused: Annotated[int, Field(description="Lines that are refused.", examples=[0])]


class BatchAnswer(AnswerModel):
    """What was filed of a file, or would be."""

    batch_id: Annotated[
        Id | None,
        Field(
            description="The batch that was filed. Where every line is repeated out of one batch, that batch; else null where nothing was "
            "filed."
        ),
    ]
    dry_run: Annotated[bool, Field(examples=[False])]
    funding_account: Annotated[str, Field(examples=["marketing"])]
    asset: AssetCode
    totals: BatchTotals
    lines: list[BatchLineAnswer]


class FiledBatchAnswer(AnswerModel):
    """A batch that was filed. It has the lines that were new in its file."""

    batch_id: Id
    funding_account: Annotated[str, Field(examples=["marketing"])]
    asset: AssetCode
    reason: Annotated[str, Field(examples=["casters, April"])]
    filed_by: Person
    filed_at: Moment
    lines: Annotated[int, Field(examples=[3])]
    total: Money
    states: Annotated[
        dict[PayoutState, int],
        Field(description="How many payouts are in each state.", examples=[{"requested": 3}]),
    ]


class FiledLineAnswer(AnswerModel):
    """One payout of a batch."""

    line: Annotated[int, Field(description="Its number among the filed lines, from 1.", examples=[1])]
    reference: Annotated[str, Field(examples=["caster-2026-04-ana"])]
    payout_id: Id
    state: Annotated[PayoutState, Field(examples=["requested"])]
    type: Annotated[
        str, Field(description="The method type, or the type of rail of an address.", examples=["bank"])
    ]
    destination: Annotated[str, Field(description="Masked.", examples=["DE89…3000"])]
    amount: Money


class BatchLinesAnswer(FiledBatchAnswer):
    """A batch with its payouts, in the order of its lines."""

    payouts: list[FiledLineAnswer]


class BatchController(Controller):
    """Files of operators' payouts."""

    path = "/api/payouts/batches"
    tags = ["funding"]  # noqa: RUF012 - Litestar reads a plain list

    @post(
        guards=[require(Role.OPERATOR, Role.ADMIN)],
        summary="Pay the lines of a file out of a funding account, once another person has approved the file",
        status_code=202,
        responses={
            200: ResponseSpec(
                BatchAnswer,
                description="The answer of a dry run. Nothing was filed.",
                generate_examples=False,
            )
        },
        refusals={
            422: ("funding_unknown", "insufficient_balance", "batch_refused"),
            503: ("sealing_key_missing",),
        },
    )
    async def file(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[BatchBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[BatchAnswer]:
        """All lines are filed or none: where one is refused, the problem `batch_refused` has the answer of each in `lines`. A line that
        the account pays or has paid already, with the same amount and destination, is answered as `repeated`. A dry run writes
        nothing and does not use its Idempotency-Key.
        """
        found = await context.read(lambda tx: list_fundings(tx, name=data.funding_account))
        if not found:
            raise Problem(
                status=422,
                code="funding_unknown",
                detail=f"there is no funding account {data.funding_account}",
            )
        asset = found[0].asset
        # checking the details of thousands of lines takes a while, in which other requests are served
        lines = await asyncio.to_thread(_read_lines, data.lines, asset, context)

        def command(identifier: UUID) -> FileBatch:
            return FileBatch(
                id=identifier,
                funding_account=data.funding_account,
                lines=lines,
                operator=request.user.subject,
                reason=data.reason,
            )

        def shown(judged: Sequence[JudgedLine], batch_id: UUID | None) -> BatchAnswer:
            return _shown(context.amounts, data, asset, judged, batch_id=batch_id or batches.batch_of(judged))

        if data.dry_run:
            check_key(key)

            async def judge(action: _Action) -> list[JudgedLine]:
                _, judged = await judge_batch(
                    command(action.id), ports=action.unit_of_work, tools=context.tools
                )
                return judged

            judged = await context.change(judge, actor=request.user)
            metrics.PAYOUT_BATCHES.labels("dry_run").inc()
            return Response(shown(judged, None), status_code=200)

        async def work(action: _Action) -> tuple[int, BatchAnswer]:
            batch, judged = await file_batch(
                command(action.id), ports=action.unit_of_work, tools=context.tools, now=action.now
            )
            answer = shown(judged, None if batch is None else batch.id)
            if answer.totals.refused:
                metrics.PAYOUT_BATCHES.labels("refused").inc()
                raise STATUSES.refuse(
                    "batch_refused",
                    f"{answer.totals.refused} of {len(judged)} lines are refused, so nothing is filed: correct them, and send the file "
                    "again",
                    lines=[one.model_dump(mode="json") for one in answer.lines],
                )
            if batch is not None:
                await action.record(
                    "payout_batch.filed",
                    target=str(batch.id),
                    reason=data.reason,
                    detail={
                        "funding_account": batch.funding_account,
                        "lines": str(batch.lines),
                        "total": context.amounts.text(asset, batch.total),
                        "repeated": str(answer.totals.repeated.lines),
                    },
                )
                after_commit(action.tx, lambda: metrics.PAYOUTS_REQUESTED.labels("batch").inc(batch.lines))
            outcome = "repeated" if batch is None else "filed"
            after_commit(action.tx, metrics.PAYOUT_BATCHES.labels(outcome).inc)
            return 202, answer

        return await context.once(
            work,
            answers=BatchAnswer,
            actor=request.user,
            route="POST /api/payouts/batches",
            key=key,
            body={
                "funding_account": data.funding_account,
                "reason": data.reason,
                "lines": [_compared(line) for line in lines],
            },
        )

    @get(guards=[require(*_READERS)], summary="Filed batches, newest first")
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[FiledBatchAnswer]:
        """Each batch with its total, its filer, and the number of its payouts in each state."""
        size = page_limit(limit)
        before = BY_TIME_AND_ID.read(cursor)
        found = await context.read(lambda tx: list_batches(tx, limit=size, before=before))
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.filed_at, one.batch.id),
            show=lambda one: FiledBatchAnswer(**_batch(context.amounts, one)),
        )

    @get(
        "/{batch_id:uuid}",
        guards=[require(*_READERS)],
        summary="One batch with its payouts",
        refusals=STATUSES.refusals("batch_unknown"),
    )
    async def one(self, *, context: NamedDependency[_Context], batch_id: FromPath[UUID]) -> BatchLinesAnswer:
        """The payouts in the order of their lines, with the states that rewards knows."""
        found = await context.read(lambda tx: list_batches(tx, limit=1, before=None, batch_id=batch_id))
        if not found:
            raise STATUSES.refuse("batch_unknown", f"there is no batch {batch_id}")
        payouts = await context.read(lambda tx: payouts_of(tx, batch_id))
        lines = [_line(context.amounts, payout) for payout in payouts]
        return BatchLinesAnswer(**_batch(context.amounts, found[0]), payouts=lines)


def _read_lines(lines: Sequence[BatchLineBody], asset: str, context: _Context) -> tuple[FiledLine, ...]:
    return tuple(_read(number, line, asset=asset, context=context) for number, line in enumerate(lines, 1))


def _read(number: int, line: BatchLineBody, *, asset: str, context: _Context) -> FiledLine:
    try:
        amount = context.amounts.parse(asset, line.amount).minor
        if line.method is not None:
            destination: Destination | InlineDestination = read_inline(line.method, tools=context.tools)
        else:
            assert line.destination is not None
            destination = Destination(
                rail_type=line.destination.type, address=line.destination.address, memo=line.destination.memo
            )
    except Problem as problem:
        refusal = batches.Problem(problem.code, problem.detail)
        return FiledLine(line=number, reference=line.reference, problem=refusal)
    return FiledLine(line=number, reference=line.reference, amount=amount, destination=destination)


def _compared(line: FiledLine) -> dict[str, Any]:
    """What stands for a line where bodies under one idempotency key are compared: never the details."""
    to = line.destination
    where: dict[str, Any] = {}
    if isinstance(to, InlineDestination):
        where = marked(to)
    elif to is not None:
        where = {"type": to.rail_type, "address": to.address, "memo": to.memo}
    return {"reference": line.reference, "amount": line.amount, **where}


def _shown(
    amounts: Amounts, data: BatchBody, asset: str, judged: Sequence[JudgedLine], *, batch_id: UUID | None
) -> BatchAnswer:
    def sum_of(state: LineState) -> BatchSum:
        lines, amount = total_of(judged, state)
        return BatchSum(lines=lines, amount=amounts.text(asset, amount))

    return BatchAnswer(
        batch_id=batch_id,
        dry_run=data.dry_run,
        funding_account=data.funding_account,
        asset=asset,
        totals=BatchTotals(
            accepted=sum_of(LineState.ACCEPTED),
            repeated=sum_of(LineState.REPEATED),
            refused=total_of(judged, LineState.REFUSED)[0],
        ),
        lines=[
            BatchLineAnswer(
                line=one.filed.line,
                reference=one.filed.reference,
                state=one.state,
                code=None if one.problem is None else one.problem.code,
                detail=None if one.problem is None else one.problem.detail,
                payout_id=one.payout_id,
                batch_id=one.batch_id,
                destination=_masked(one.filed.destination),
                amount=sent.amount,
            )
            for one, sent in zip(judged, data.lines, strict=True)
        ],
    )


def _masked(destination: Destination | InlineDestination | None) -> str | None:
    if destination is None:
        return None
    if isinstance(destination, InlineDestination):
        return destination.terms.masked
    return _short(destination.address)


def _short(address: str) -> str:
    return f"{address[:4]}…{address[-4:]}"


def _batch(amounts: Amounts, view: BatchView) -> dict[str, Any]:
    batch = view.batch
    return {
        "batch_id": batch.id,
        "funding_account": batch.funding_account,
        "asset": view.asset,
        "reason": batch.reason,
        "filed_by": batch.filed_by,
        "filed_at": view.filed_at,
        "lines": batch.lines,
        "total": amounts.text(view.asset, batch.total),
        "states": view.states,
    }


def _line(amounts: Amounts, payout: Payout) -> FiledLineAnswer:
    assert payout.batch is not None
    inline = payout.inline
    return FiledLineAnswer(
        line=payout.batch.line,
        reference=payout.reference or "",
        payout_id=payout.id,
        state=payout.state,
        type=payout.rail_types[0] if inline is None else inline.type,
        destination=_short(str(payout.intent["allowed"][0]["destination"]))
        if inline is None
        else inline.masked,
        amount=amounts.text(payout.asset, payout.amount),
    )
