"""``/api/round-disownments``: two admins say that settlement never settled a round, and it is taken back."""

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
from prizewire_chassis.http import page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_contracts.text import Line
from prizewire_rewards import metrics
from prizewire_rewards.http.bodies import Body, DecisionBody
from prizewire_rewards.http.codes import refusing
from prizewire_rewards.http.context import Front, IdempotencyKey, page_of, refused, time_cursor
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
from prizewire_rewards.rounds.storage.disownments import disownment, disownments, taken_back

_READERS = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


class DisownmentBody(Body):
    """A round that settlement never settled."""

    round_id: UUID = Field(
        description="The round. Rewards has prizes or entries of it, voided it, or refused an event of it.",
        examples=["0c2b9cd5-6b6d-5b4d-8f40-7ed0f5b44a3e"],
    )
    reason: Line = Field(
        description="Why settlement never settled it, for people.",
        examples=["verify: settlement never settled the round"],
    )


class DisownmentController(Controller):
    """A forged round is taken back by two persons: an admin files, another one approves."""

    path = "/api/round-disownments"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require(*_READERS)], summary="Disownments of rounds, newest first")
    async def listing(
        self,
        *,
        front: NamedDependency[Front],
        disownment_state: Annotated[DisownmentState | None, QueryParameter(name="state")] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[DisownmentAnswer]:
        """All, or those that are filed, approved or rejected."""
        size, before = page_limit(limit), time_cursor(cursor)
        found = await front.read(
            lambda tx: disownments(tx, state=disownment_state, limit=size, before=before)
        )
        last = [found[-1].filed_at.isoformat(), str(found[-1].id)] if found else None
        return page_of([_shown(one) for one in found], limit=size, cursor=last)

    @get(
        "/{disownment_id:uuid}",
        guards=[require(*_READERS)],
        summary="One disownment of a round",
        refusals=refusing("disownment_unknown"),
    )
    async def one(
        self, *, front: NamedDependency[Front], disownment_id: FromPath[UUID]
    ) -> DisownmentDetailAnswer:
        """Who filed it, what became of it, what it took back, and what is left to do."""

        async def look(tx: AsyncConnection) -> DisownmentDetailAnswer | None:
            found = await disownment(tx, disownment_id)
            return None if found is None else await _detail(found, tx=tx, front=front)

        shown = await front.read(look)
        if shown is None:
            raise refused("disownment_unknown", f"there is no disownment {disownment_id}")
        return shown

    @post(
        guards=[require(Role.ADMIN)],
        summary="Say that settlement never settled a round, for another admin to approve",
        refusals=refusing("round_unknown", "disownment_exists"),
    )
    async def file(
        self,
        *,
        front: NamedDependency[Front],
        data: JSONBody[DisownmentBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[DisownmentAnswer]:
        """Nothing moves yet."""
        actor = request.user.subject

        async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, DisownmentAnswer]:
            disownment = Disownment(
                id=identifier,
                round_id=data.round_id,
                reason=data.reason,
                filed_by=actor,
                filed_at=front.clock.now(),
            )
            filed = await file_disownment(disownment, ports=front.ports_of(tx))
            await _audit(front, tx, filed, what="filed", actor=actor)
            after_commit(tx, metrics.DISOWNMENTS.labels("filed").inc)
            return 201, _shown(filed)

        return await front.once(
            principal=request.user,
            route="POST /api/round-disownments",
            key=key,
            body=data.model_dump(mode="json"),
            work=work,
            answers=DisownmentAnswer,
        )

    @post(
        "/{disownment_id:uuid}/approve",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="Approve a disownment: the round is taken back",
        refusals=refusing(
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
        front: NamedDependency[Front],
        disownment_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[DisownmentDetailAnswer]:
        """Prizes and fees go back to the pool, entry fees to their players: `taken_back` says how much, `left` what is to
        be done after that. Who filed it, has a prize of the round or is a party of it never approves it.
        """
        answer = await _decide(front, disownment_id, request.user, key, reason=None)
        front.release()
        front.work_on()
        return answer

    @post(
        "/{disownment_id:uuid}/reject",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="Reject a disownment, or take it back",
        refusals=refusing("decider_is_party", "disownment_unknown", "disownment_final"),
    )
    async def reject(
        self,
        *,
        front: NamedDependency[Front],
        disownment_id: FromPath[UUID],
        data: JSONBody[DecisionBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[DisownmentDetailAnswer]:
        """The round stays as it is. It may be filed again."""
        return await _decide(front, disownment_id, request.user, key, reason=data.reason)


async def _decide(
    front: Front, disownment_id: UUID, principal: Principal, key: str | None, *, reason: str | None
) -> Response[DisownmentDetailAnswer]:
    """Approve, or reject for a ``reason``."""
    what = "approved" if reason is None else "rejected"
    command = DecideDisownment(
        id=disownment_id, approved=reason is None, actor=principal.subject, reason=reason
    )

    async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, DisownmentDetailAnswer]:
        del identifier  # what is decided on has an id already
        done = await decide_disownment(
            command, ports=front.ports_of(tx), tools=front.tools, now=front.clock.now()
        )
        await _audit(front, tx, done.disownment, what=what, actor=principal.subject)
        after_commit(tx, metrics.DISOWNMENTS.labels(what).inc)
        after_commit(tx, lambda: metrics.count_rounds(**asdict(done.booked)))
        after_commit(tx, lambda: metrics.count_entries(done.reached))
        return 200, await _detail(done.disownment, tx=tx, front=front)

    return await front.once(
        principal=principal,
        route=f"POST /api/round-disownments/{{disownment_id}}/{what}",
        key=key,
        body={"disownment_id": str(disownment_id), "reason": reason},
        work=work,
        answers=DisownmentDetailAnswer,
    )


async def _audit(front: Front, tx: AsyncConnection, disownment: Disownment, *, what: str, actor: str) -> None:
    await front.audit.record(
        tx,
        actor=actor,
        action=f"round_disownment.{what}",
        target=str(disownment.round_id),
        reason=disownment.decision or disownment.reason,
        detail=_shown(disownment).model_dump(mode="json"),
        correlation_id=None,
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


async def _detail(found: Disownment, *, tx: AsyncConnection, front: Front) -> DisownmentDetailAnswer:
    taken = await taken_back(tx, found)
    return DisownmentDetailAnswer(
        **dict(_shown(found)),
        taken_back=None if taken is None else _taken(taken, front=front),
        left=_left(found),
    )


def _taken(taken: TakenBack, *, front: Front) -> TakenBackAnswer:
    def sums(found: Sequence[SumOf]) -> list[SumAnswer]:
        return [
            SumAnswer(asset=one.asset, count=one.count, amount=front.wire(one.asset, one.amount))
            for one in found
        ]

    return TakenBackAnswer(
        complete=taken.complete,
        prizes=sums(taken.prizes),
        fees=[
            ReturnedFeeAnswer(source=one.source, asset=one.asset, amount=front.wire(one.asset, one.amount))
            for one in taken.fees
        ],
        entries=sums(taken.entries),
        to_pool=[
            PooledAnswer(asset=one.asset, amount=front.wire(one.asset, one.amount)) for one in taken.to_pool
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
        why="rewards has not taken in since the approval that settlement voided the round. Where settlement has the round "
        f"(GET /api/rounds/{disownment.round_id}) and it is not VOIDED there, an admin voids it, and its match is reported "
        "under another id. A round that settlement does not have needs no more.",
    )
