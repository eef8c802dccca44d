"""``/api/round-disownments``: two admins disown a round that settlement never settled, and its money is taken back."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import BY_TIME_AND_ID, RequiredKey, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_contracts.text import Line
from prizewire_rewards import metrics
from prizewire_rewards.http.bodies import Body, DecisionBody
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import Amounts, Context, RewardsAction
from prizewire_rewards.rounds.domain.disownments import Disownment, DisownmentState, SumOf, TakenBack
from prizewire_rewards.rounds.handlers.disowning import DecideDisownment, decide_disownment, file_disownment
from prizewire_rewards.rounds.http.answers import (
    DisownmentAnswer,
    DisownmentDetailAnswer,
    PooledAnswer,
    ReturnedFeeAnswer,
    StepLeftAnswer,
    SumAnswer,
    TakenBackAnswer,
)
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools
from prizewire_rewards.rounds.storage import correlation_of, disownment, disownments, taken_back

_Context = Context[RoundPorts, RoundTools]
_Action = RewardsAction[RoundPorts]

_READERS = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


class DisownmentBody(Body):
    """A round that settlement never settled, and the reason."""

    round_id: UUID = Field(
        description="The round. Rewards has prizes or entries of it, voided it, or refused an event of it.",
        examples=["0c2b9cd5-6b6d-5b4d-8f40-7ed0f5b44a3e"],
    )
    reason: Line = Field(
        description="Why the filer says that settlement never settled it.",
        examples=["verify: settlement never settled the round"],
    )


class DisownmentController(Controller):
    """Two persons take a forged round back: an admin files a disownment, another one approves it."""

    path = "/api/round-disownments"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require(*_READERS)], summary="Disownments of rounds, newest first")
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        disownment_state: Annotated[DisownmentState | None, QueryParameter(name="state")] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[DisownmentAnswer]:
        """All disownments, or those in one state."""
        size, before = page_limit(limit), BY_TIME_AND_ID.read(cursor)
        found = await context.read(
            lambda tx: disownments(tx, state=disownment_state, limit=size, before=before)
        )
        return BY_TIME_AND_ID.page(found, limit=size, key=lambda one: (one.filed_at, one.id), show=_shown)

    @get(
        "/{disownment_id:uuid}",
        guards=[require(*_READERS)],
        summary="One disownment of a round",
        refusals=STATUSES.refusals("disownment_unknown"),
    )
    async def one(
        self, *, context: NamedDependency[_Context], disownment_id: FromPath[UUID]
    ) -> DisownmentDetailAnswer:
        """The filer, the decision, what it took back, and what is left to do."""

        async def read(tx: AsyncConnection) -> DisownmentDetailAnswer | None:
            found = await disownment(tx, disownment_id)
            return None if found is None else await _detail(found, tx=tx, amounts=context.amounts)

        shown = await context.read(read)
        if shown is None:
            raise STATUSES.refuse("disownment_unknown", f"there is no disownment {disownment_id}")
        return shown

    @post(
        guards=[require(Role.ADMIN)],
        summary="File a disownment of a round that settlement never settled",
        refusals=STATUSES.refusals("round_unknown", "disownment_exists"),
    )
    async def file(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[DisownmentBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[DisownmentAnswer]:
        """Nothing moves before another admin approves."""

        async def file(action: _Action) -> tuple[int, DisownmentAnswer]:
            disownment = Disownment(
                id=action.id,
                round_id=data.round_id,
                reason=data.reason,
                filed_by=action.actor.subject,
                filed_at=action.now,
            )
            filed = await file_disownment(disownment, ports=action.unit_of_work)
            await _record(action, filed, what="filed")
            after_commit(action.tx, metrics.DISOWNMENTS.labels("filed").inc)
            return 201, _shown(filed)

        return await context.once(
            file,
            answers=DisownmentAnswer,
            actor=request.user,
            route="POST /api/round-disownments",
            key=key,
            body=data.model_dump(mode="json"),
        )

    @post(
        "/{disownment_id:uuid}/approve",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="Approve a disownment: the round's money is taken back",
        description="Prizes and fees go back to the pool, entry fees to their players. `taken_back` shows the amounts, "
        "`left` what is left to do. The filer, a player with a prize of the round, and a party of it may not approve. "
        "The method is `POST`, and an `Idempotency-Key` is required. A held payout is approved and rejected in payouts by `PUT`: "
        "`/api/admin/payouts/{id}/approve` and `/reject`.",
        refusals=STATUSES.refusals(
            "own_disownment",
            "decider_is_party",
            "disownment_unknown",
            "disownment_final",
            "round_busy",
            "insufficient_fees",
        ),
    )
    async def approve(
        self,
        *,
        context: NamedDependency[_Context],
        disownment_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[DisownmentDetailAnswer]:
        """Prizes and fees go back to the pool, entry fees to their players. `taken_back` shows the amounts, `left` what is
        left to do. The filer, a player with a prize of the round, and a party of it may not approve.
        """
        answer = await _decide(context, disownment_id, request.user, key, reason=None)
        context.release()
        context.work_on()
        return answer

    @post(
        "/{disownment_id:uuid}/reject",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="Reject a disownment, also one's own",
        refusals=STATUSES.refusals("decider_is_party", "disownment_unknown", "disownment_final"),
    )
    async def reject(
        self,
        *,
        context: NamedDependency[_Context],
        disownment_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[DisownmentDetailAnswer]:
        """The round stays unchanged. It may be filed again."""
        return await _decide(context, disownment_id, request.user, key, reason=data.reason)


async def _decide(
    context: _Context, disownment_id: UUID, principal: Principal, key: str | None, *, reason: str | None
) -> Response[DisownmentDetailAnswer]:
    """Approve a disownment, or reject it with a ``reason``."""
    what = "approved" if reason is None else "rejected"
    command = DecideDisownment(
        id=disownment_id, approved=reason is None, actor=principal.subject, reason=reason
    )

    async def decide(action: _Action) -> tuple[int, DisownmentDetailAnswer]:
        done = await decide_disownment(
            command, ports=action.unit_of_work, tools=context.tools, now=action.now
        )
        await _record(action, done.disownment, what=what)
        after_commit(action.tx, metrics.DISOWNMENTS.labels(what).inc)
        after_commit(
            action.tx, lambda: metrics.count_rounds(**asdict(done.booked), assets=context.tools.assets)
        )
        after_commit(action.tx, lambda: metrics.count_entries(done.reached))
        return 200, await _detail(done.disownment, tx=action.tx, amounts=context.amounts)

    return await context.once(
        decide,
        answers=DisownmentDetailAnswer,
        actor=principal,
        route=f"POST /api/round-disownments/{{disownment_id}}/{what}",
        key=key,
        body={"disownment_id": str(disownment_id), "reason": reason},
    )


async def _record(action: _Action, disownment: Disownment, *, what: str) -> None:
    await action.record(
        f"round_disownment.{what}",
        target=str(disownment.round_id),
        reason=disownment.decision or disownment.reason,
        detail=_shown(disownment).model_dump(mode="json"),
        correlation_id=await correlation_of(action.tx, disownment.round_id),
    )


def _shown(disownment: Disownment) -> DisownmentAnswer:
    return DisownmentAnswer(
        disownment_id=disownment.id,
        round_id=disownment.round_id,
        reason=disownment.reason,
        state=disownment.state,
        filed_by=disownment.filed_by,
        filed_at=disownment.filed_at,
        decided_by=disownment.decided_by,
        decided_at=disownment.decided_at,
        decision=disownment.decision,
        settlement_voided_at=disownment.settlement_voided_at,
    )


async def _detail(found: Disownment, *, tx: AsyncConnection, amounts: Amounts) -> DisownmentDetailAnswer:
    taken = await taken_back(tx, found)
    return DisownmentDetailAnswer(
        **dict(_shown(found)),
        taken_back=None if taken is None else _taken(taken, amounts=amounts),
        left=_left(found),
    )


def _taken(taken: TakenBack, *, amounts: Amounts) -> TakenBackAnswer:
    def sums(found: Sequence[SumOf]) -> list[SumAnswer]:
        return [
            SumAnswer(asset=one.asset, count=one.count, amount=amounts.text(one.asset, one.amount))
            for one in found
        ]

    return TakenBackAnswer(
        complete=taken.complete,
        prizes=sums(taken.prizes),
        fees=[
            ReturnedFeeAnswer(source=one.source, asset=one.asset, amount=amounts.text(one.asset, one.amount))
            for one in taken.fees
        ],
        entries=sums(taken.entries),
        to_pool=[
            PooledAnswer(asset=one.asset, amount=amounts.text(one.asset, one.amount)) for one in taken.to_pool
        ],
        owed=sums(taken.owed),
        payouts_asked_to_cancel=sums(taken.cancels),
    )


def _left(disownment: Disownment) -> StepLeftAnswer | None:
    if disownment.state is not DisownmentState.APPROVED or disownment.settlement_voided_at is not None:
        return None
    return StepLeftAnswer(
        service="settlement",
        route=f"POST /api/rounds/{disownment.round_id}/resolve",
        body={"void": True},
        why="since the approval rewards has not received that settlement voided the round. If settlement has the round "
        f"(GET /api/rounds/{disownment.round_id}) and it is not VOIDED there, void it there, and report its match under "
        "another id. If settlement does not have the round, nothing is left to do.",
    )
