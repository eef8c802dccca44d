"""Payee assignments over HTTP."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import BY_TIME_AND_ID, RequiredKey, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_contracts.envelope import Timestamp
from prizewire_contracts.text import NAME_LENGTH_MAX, Name, Reason
from prizewire_rewards import metrics
from prizewire_rewards.assignments.domain import AssignmentState, PayeeAssignment
from prizewire_rewards.assignments.handlers import (
    EndAssignment,
    confirm_assignment,
    end_assignment,
    propose_assignment,
)
from prizewire_rewards.assignments.ports import AssignmentPorts
from prizewire_rewards.assignments.storage import payee_assignment, payee_assignments
from prizewire_rewards.http.bodies import Body, Person
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import Context, RewardsAction
from prizewire_rewards.ledger.ports import Tools

_Context = Context[AssignmentPorts, Tools]
_Action = RewardsAction[AssignmentPorts]
_READERS = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


class AssignmentAnswer(AnswerModel):
    """A payee assignment: one admin proposes it, another confirms it, and any admin ends it."""

    assignment_id: Id
    player: Annotated[str, Field(description="Whose money is paid out.", examples=["kim"])]
    payee: Annotated[str, Field(description="Who is paid in the player's place.", examples=["gerd"])]
    reason: Annotated[str, Field(examples=["kim is 14 years old, and gerd is the guardian"])]
    until: Annotated[
        Moment | None, Field(description="Its end. Null for none.", examples=["2028-03-01T00:00:00Z"])
    ]
    state: Annotated[AssignmentState, Field(description="Its state now.", examples=["in_force"])]
    proposed_by: Person
    proposed_at: Moment
    confirmed_by: Annotated[
        Person | None, Field(description="Null until it is confirmed.", examples=["adam"])
    ]
    in_force_from: Annotated[
        Moment | None,
        Field(description="Payouts that are requested from then on go to the payee.", examples=[None]),
    ]
    ended_by: Annotated[
        Person | None, Field(description="Who ended or withdrew it. Null where nobody did.", examples=[None])
    ]
    ended_at: Annotated[Moment | None, Field(examples=[None])]
    end_reason: Annotated[str | None, Field(examples=[None])]


class AssignmentBody(Body):
    """A payee assignment to propose."""

    player: Name = Field(description="Whose money is paid out.", examples=["kim"])
    payee: Name = Field(description="Who is paid in the player's place.", examples=["gerd"])
    reason: Reason = Field(examples=["kim is 14 years old, and gerd is the guardian"])
    until: Timestamp | None = Field(
        None,
        description="Payouts that are requested at this time or later go to the player again.",
        examples=["2028-03-01T00:00:00Z"],
    )


class EndBody(Body):
    """Why an assignment ends."""

    reason: Reason = Field(examples=["kim is of age now"])


class AssignmentController(Controller):
    """Two admins name who is paid in a player's place."""

    path = "/api/admin/payee-assignments"
    tags = ["payee assignments"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require(*_READERS)], summary="Payee assignments, newest first")
    async def listing(
        self,
        *,
        context: NamedDependency[_Context],
        player: Annotated[
            str | None,
            QueryParameter(description="Of one player.", min_length=1, max_length=NAME_LENGTH_MAX),
        ] = None,
        payee: Annotated[
            str | None,
            QueryParameter(description="To one payee.", min_length=1, max_length=NAME_LENGTH_MAX),
        ] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[AssignmentAnswer]:
        """Also those that were never confirmed and those that have ended."""
        size, before = page_limit(limit), BY_TIME_AND_ID.read(cursor)
        found = await context.read(
            lambda tx: payee_assignments(tx, player=player, payee=payee, limit=size, before=before)
        )
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.proposed_at, one.id),
            show=partial(_shown, now=context.clock.now()),
        )

    @get(
        "/{assignment_id:uuid}",
        guards=[require(*_READERS)],
        summary="One payee assignment",
        refusals=STATUSES.refusals("assignment_unknown"),
    )
    async def one(
        self, *, context: NamedDependency[_Context], assignment_id: FromPath[UUID]
    ) -> AssignmentAnswer:
        """An assignment with the persons who decided about it."""
        found = await context.read(lambda tx: payee_assignment(tx, assignment_id))
        if found is None:
            raise STATUSES.refuse("assignment_unknown", f"there is no payee assignment {assignment_id}")
        return _shown(found, now=context.clock.now())

    @post(
        guards=[require(Role.ADMIN)],
        summary="Propose who is paid in a player's place, for another admin to confirm",
        refusals=STATUSES.refusals(
            "payee_is_player", "until_past", "own_assignment", "assignment_chain", "assignment_exists"
        ),
    )
    async def propose(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[AssignmentBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[AssignmentAnswer]:
        """Nothing changes yet. A proposal may be made while another assignment of the player is in force: once confirmed, it
        replaces that one.
        """

        async def propose(action: _Action) -> PayeeAssignment:
            assignment = PayeeAssignment(
                id=action.id,
                player=data.player,
                payee=data.payee,
                reason=data.reason,
                until=data.until,
                proposed_by=request.user.subject,
                proposed_at=action.now,
            )
            return await propose_assignment(assignment, ports=action.unit_of_work, now=action.now)

        return await _decide(
            context,
            propose,
            what="proposed",
            status=201,
            route="POST /api/admin/payee-assignments",
            actor=request.user,
            key=key,
            body=data.model_dump(mode="json"),
        )

    @post(
        "/{assignment_id:uuid}/confirm",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="Confirm a payee assignment: it is in force from now on",
        refusals=STATUSES.refusals(
            "assignment_unknown", "assignment_final", "own_assignment", "assignment_chain"
        ),
    )
    async def confirm(
        self,
        *,
        context: NamedDependency[_Context],
        assignment_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[AssignmentAnswer]:
        """Neither its proposer nor its player or payee confirms it. Payouts that were requested before go to the player."""

        async def confirm(action: _Action) -> PayeeAssignment:
            return await confirm_assignment(
                assignment_id, actor=request.user.subject, ports=action.unit_of_work, now=action.now
            )

        return await _decide(
            context,
            confirm,
            what="confirmed",
            status=200,
            route="POST /api/admin/payee-assignments/{assignment_id}/confirm",
            actor=request.user,
            key=key,
            body={"assignment_id": str(assignment_id)},
        )

    @post(
        "/{assignment_id:uuid}/end",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="End a payee assignment, or withdraw a proposed one",
        refusals=STATUSES.refusals("assignment_unknown", "assignment_final", "own_assignment"),
    )
    async def end(
        self,
        *,
        context: NamedDependency[_Context],
        assignment_id: FromPath[UUID],
        data: JSONBody[EndBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[AssignmentAnswer]:
        """Payouts that are requested from now on go to the player. Those that were requested before go on to the payee. The
        player may not end it.
        """
        command = EndAssignment(id=assignment_id, actor=request.user.subject, reason=data.reason)

        async def end(action: _Action) -> PayeeAssignment:
            return await end_assignment(command, ports=action.unit_of_work, now=action.now)

        return await _decide(
            context,
            end,
            what=None,
            status=200,
            route="POST /api/admin/payee-assignments/{assignment_id}/end",
            actor=request.user,
            key=key,
            body={"assignment_id": str(assignment_id), **data.model_dump(mode="json")},
        )


async def _decide(
    context: _Context,
    change: Callable[[_Action], Awaitable[PayeeAssignment]],
    *,
    what: str | None,
    status: int,
    route: str,
    actor: Principal,
    key: str | None,
    body: dict[str, Any],
) -> Response[AssignmentAnswer]:
    """Apply a decision once, audited and counted as ``what``, or as the state that it led to."""

    async def decide(action: _Action) -> tuple[int, AssignmentAnswer]:
        made = await change(action)
        outcome = what or str(made.state)
        shown = _shown(made, now=action.now)
        await action.record(
            f"payee_assignment.{outcome}",
            target=str(made.id),
            reason=made.end_reason or made.reason,
            detail=shown.model_dump(mode="json"),
            correlation_id=str(made.id),
        )
        after_commit(action.tx, metrics.PAYEE_ASSIGNMENTS.labels(outcome).inc)
        return status, shown

    return await context.once(decide, answers=AssignmentAnswer, actor=actor, route=route, key=key, body=body)


def _shown(assignment: PayeeAssignment, *, now: datetime) -> AssignmentAnswer:
    return AssignmentAnswer(
        assignment_id=assignment.id,
        player=assignment.player,
        payee=assignment.payee,
        reason=assignment.reason,
        until=assignment.until,
        state=assignment.state_at(now=now),
        proposed_by=assignment.proposed_by,
        proposed_at=assignment.proposed_at,
        confirmed_by=assignment.confirmed_by,
        in_force_from=assignment.in_force_from,
        ended_by=assignment.ended_by,
        ended_at=assignment.ended_at,
        end_reason=assignment.end_reason,
    )
