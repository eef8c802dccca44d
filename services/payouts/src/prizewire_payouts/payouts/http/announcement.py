"""`POST /api/admin/payouts/{id}/announce`: the events of a payout's end are published again."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, RequiredKey
from prizewire_contracts import text
from prizewire_payouts.http.context import Context
from prizewire_payouts.payouts.handlers.operators import announce_end
from prizewire_payouts.payouts.http.answers import KnownPayoutAnswer, known_payout_answer
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.unit_of_work import UnitOfWork


class Announcement(BaseModel):
    """Why the end is announced again."""

    model_config = ConfigDict(extra="forbid")

    reason: text.Reason = Field(examples=["rewards' copy of the event was discarded by mistake"])


def announcing_controller(context: Context) -> type[Controller]:
    """The controller over this context."""

    class AnnouncingController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/{payout_id:uuid}/announce",
            status_code=202,
            summary="Announce the end of a payout again",
            description="For a payout that has ended here while rewards has it open (`payouts_were_asked_for` of "
            "`prizewire verify`): the event of its end was lost or discarded. The same end is announced with a new version. "
            "Rewards takes it once; subscribers of webhooks get it again. Where rewards parks it with `version_gap`, discard it there and "
            "announce the end once more.",
            refusals={404: ("payout_not_found",), 409: ("not_ended",)},
        )
        async def announce(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Announcement],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[KnownPayoutAnswer]:
            async def announce(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, KnownPayoutAnswer]:
                payout = await announce_end(
                    PayoutStorage(action.unit_of_work), payout_id=payout_id, by=action.actor.subject
                )
                await action.record(
                    "payout.announced",
                    target=str(payout_id),
                    reason=data.reason,
                    detail={"state": str(payout.state)},
                    correlation_id=payout.correlation_id,
                )
                return 202, known_payout_answer(payout)

            return await context.once(
                announce,
                answers=KnownPayoutAnswer,
                actor=request.user,
                route=f"POST /api/admin/payouts/{payout_id}/announce",
                key=key,
                body=data.model_dump(),
            )

    return AnnouncingController
