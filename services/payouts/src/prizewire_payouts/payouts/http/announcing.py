"""`POST /api/admin/payouts/{id}/announce`: the end of a payout is told again."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_contracts import text
from prizewire_payouts.http.parts import HttpParts, RequiredKey, act
from prizewire_payouts.payouts.handlers.announcing import announce_end
from prizewire_payouts.payouts.http.answers import KnownPayoutAnswer, known_payout_answer
from prizewire_payouts.payouts.ports import Store


class Announcement(BaseModel):
    """Why the end is told again."""

    model_config = ConfigDict(extra="forbid")

    reason: text.Reason = Field(examples=["rewards' copy of the event was discarded by mistake"])


def announcing_controller(parts: HttpParts) -> type[Controller]:
    """The controller over these parts."""

    class AnnouncingController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/{payout_id:uuid}/announce",
            status_code=202,
            summary="Tell the end of a payout again",
            description="For a payout that has ended here while rewards has it open (`payouts_were_asked_for` of "
            "`prizewire verify`): the event of its end was lost or discarded. The same end is told under a new version. "
            "Rewards takes it once; subscribers of webhooks get it again. Where rewards parks it with `version_gap`, discard it there and "
            "tell the end once more.",
            refusals={404: ("payout_not_found",), 409: ("not_ended",)},
        )
        async def announce(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Announcement],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[KnownPayoutAnswer]:
            async def work(
                tx: AsyncConnection, store: Store, _: UUID | None
            ) -> tuple[int, KnownPayoutAnswer]:
                actor = request.user.subject
                payout = await announce_end(store, payout_id=payout_id, by=actor, now=parts.clock.now())
                await parts.audit.record(
                    tx,
                    actor=actor,
                    action="payout.announced",
                    target=str(payout_id),
                    reason=data.reason,
                    detail={"state": str(payout.state)},
                    correlation_id=payout.correlation_id,
                )
                return 202, known_payout_answer(payout)

            return await act(
                parts,
                KnownPayoutAnswer,
                actor=request.user,
                route=f"POST /api/admin/payouts/{payout_id}/announce",
                key=key,
                body=data.model_dump(),
                key_required=True,
                work=work,
            )

    return AnnouncingController
