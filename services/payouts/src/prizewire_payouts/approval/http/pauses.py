"""`/api/admin/payouts/pauses`: switches that keep new payments from starting. Every switch is audited."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, RequiredKey
from prizewire_chassis.http.answers import AnswerModel, Id, Items, Moment
from prizewire_contracts import text
from prizewire_payouts.approval.domain import Pause, PauseScope
from prizewire_payouts.approval.handlers import pause, resume
from prizewire_payouts.approval.http.decisions import ApprovalContext
from prizewire_payouts.approval.storage import PauseStorage
from prizewire_payouts.http import PersonName
from prizewire_payouts.unit_of_work import UnitOfWork


class NewPause(BaseModel):
    """A pause of new payments of a rail, an asset, a campaign, a competition or a player, by name or id."""

    model_config = ConfigDict(extra="forbid")

    scope: PauseScope = Field(examples=["campaign"])
    value: text.Name = Field(
        description="The rail's name, the asset's code, the campaign's id, which is a UUID, the competition or the player. An unknown rail or "
        "asset is refused. Other services know campaigns, competitions and players, so any UUID and any name is accepted: look it up "
        "there first, such as with `GET /api/campaigns/{id}`.",
        examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"],
    )
    reason: text.Reason = Field(examples=["the organizer asks to wait"])


class PauseAnswer(AnswerModel):
    """A switch that keeps new payments of a rail, an asset, a campaign, a competition or a player from starting."""

    id: Id
    scope: Annotated[PauseScope, Field(examples=["rail"])]
    value: Annotated[
        str, Field(description="Which rail, asset, campaign, competition or player.", examples=["stellar"])
    ]
    value_checked: Annotated[
        bool,
        Field(
            description="Whether payouts knows that the value exists. It knows rails and assets. A campaign, a competition or a player is taken as "
            "it was written: with a typing error the pause has no effect."
        ),
    ]
    reason: Annotated[str, Field(examples=["the provider reports an outage"])]
    paused_by: PersonName
    paused_at: Moment
    resumed_by: Annotated[str | None, Field(description="Null while it is in force.", examples=[None])]
    resumed_at: Annotated[Moment | None, Field(examples=[None])]


def pause_answer(pause: Pause) -> PauseAnswer:
    """A pause as operators see it."""
    return PauseAnswer(
        id=pause.pause_id,
        scope=pause.scope,
        value=pause.value,
        value_checked=pause.scope in (PauseScope.RAIL, PauseScope.ASSET),
        reason=pause.reason,
        paused_by=pause.paused_by,
        paused_at=pause.paused_at,
        resumed_by=pause.resumed_by,
        resumed_at=pause.resumed_at,
    )


def pauses_controller(context: ApprovalContext) -> type[Controller]:
    """Switches that keep new payments from starting."""

    class PausesController(Controller):
        path = "/api/admin/payouts/pauses"
        guards = [require(Role.OPERATOR, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Pauses in force, newest first")
        async def list_pauses(self) -> Items[PauseAnswer]:
            found = await context.read(lambda unit_of_work: PauseStorage(unit_of_work).in_force())
            return Items(items=[pause_answer(one) for one in found])

        @post(
            "/",
            summary="Pause new payments of a rail, an asset, a campaign, a competition or a player",
            description="At once for each payout without an attempt. What was sent before is followed to its end. A payout that "
            "waits says so (`paused`), and so does its trace. Pauses of two persons are two pauses, each lifted by itself: payments start "
            "again once none is in force. The same person gets the pause that they set before, with its reason.",
            refusals={422: ("pause_value_unknown",)},
        )
        async def create(
            self, data: JSONBody[NewPause], request: Request[Principal, Any, Any], key: RequiredKey = None
        ) -> Response[PauseAnswer]:
            async def create(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, PauseAnswer]:
                made = await pause(
                    PauseStorage(action.unit_of_work),
                    pause_id=action.id,
                    scope=data.scope,
                    value=data.value,
                    reason=data.reason,
                    by=action.actor.subject,
                    known={
                        PauseScope.RAIL: {rail.name for rail in context.rails},
                        PauseScope.ASSET: set(context.assets),
                    },
                    now=action.now,
                )
                await _record_pause(action, "payouts.paused", made, reason=data.reason)
                return 201, pause_answer(made)

            return await context.once(
                create,
                answers=PauseAnswer,
                actor=request.user,
                route="POST /api/admin/payouts/pauses",
                key=key,
                body=data.model_dump(mode="json"),
            )

        @delete(
            "/{pause_id:uuid}",
            status_code=200,
            summary="Resume",
            description="A pause that another person set of the same stays in force. By another person than set the pause where `PAYOUTS_RESUME_BY_ANOTHER` is set.",
            refusals={403: ("same_person",), 404: ("pause_not_found",)},
        )
        async def lift(self, pause_id: FromPath[UUID], request: Request[Principal, Any, Any]) -> PauseAnswer:
            async def lift(action: Action[UnitOfWork, UnitOfWork]) -> PauseAnswer:
                lifted = await resume(
                    PauseStorage(action.unit_of_work),
                    pause_id=pause_id,
                    by=action.actor.subject,
                    by_another=context.resume_by_another,
                    now=action.now,
                )
                await _record_pause(action, "payouts.resumed", lifted, reason=None)
                return pause_answer(lifted)

            return await context.change(lift, actor=request.user)

    return PausesController


async def _record_pause(
    action: Action[UnitOfWork, UnitOfWork], name: str, made: Pause, *, reason: str | None
) -> None:
    await action.record(
        name,
        target=str(made.pause_id),
        reason=reason,
        detail={"scope": made.scope, "value": made.value},
    )
