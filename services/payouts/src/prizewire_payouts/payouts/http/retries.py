"""`POST /api/admin/payouts/{payout_id}/retry`: an operator has the money of an ended payout paid again."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, RequiredKey
from prizewire_contracts import text
from prizewire_payouts.http import Context
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.payouts.handlers.retries import request_retry
from prizewire_payouts.payouts.http.answers import retry_answer
from prizewire_payouts.payouts.http.models import RetryAnswer
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.unit_of_work import UnitOfWork


class RetryBody(BaseModel):
    """Why a payout is retried, and to which method."""

    model_config = ConfigDict(extra="forbid")

    reason: text.Reason = Field(examples=["the player has registered another account"])
    method_id: UUID | None = Field(
        None,
        description="A payout method of the player. Without it the default one, or the details that the payout's request named itself. "
        "Not for a payout out of a funding account, which goes to its own destination again.",
        examples=[None],
    )


def retries_controller(context: Context) -> type[Controller]:
    """The controller over this context."""

    class RetriesController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.OPERATOR, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/{payout_id:uuid}/retry",
            status_code=202,
            summary="Retry a failed, rejected, cancelled or returned payout",
            description="Rewards files a new payout of the money that came back, if it is still in the wallet or funding "
            "account, or says why not: `GET /api/payouts/{payout_id}` shows the answer in `retries`. You are the filer of the "
            "new payout, which is held for another person.",
            refusals={
                404: ("payout_not_found",),
                409: (
                    "not_retryable",
                    "already_retried",
                    "retry_open",
                    "attempt_unproved",
                    "details_not_kept",
                ),
                422: ("method_unknown", "method_not_possible"),
            },
        )
        async def retry(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[RetryBody],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[RetryAnswer]:
            async def retry(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, RetryAnswer]:
                payout, asked = await request_retry(
                    PayoutStorage(action.unit_of_work),
                    MethodStorage(action.unit_of_work),
                    payout_id=payout_id,
                    by=action.actor.subject,
                    reason=data.reason,
                    method_id=data.method_id,
                    now=action.now,
                )
                await action.record(
                    "payout.retry_requested",
                    target=str(payout_id),
                    reason=data.reason,
                    detail={
                        "state": str(payout.state),
                        "retry_no": asked.retry_no,
                        "method_id": None if data.method_id is None else str(data.method_id),
                    },
                    correlation_id=payout.correlation_id,
                )
                return 202, retry_answer(asked)

            return await context.once(
                retry,
                answers=RetryAnswer,
                actor=request.user,
                route=f"POST /api/admin/payouts/{payout_id}/retry",
                key=key,
                body=data.model_dump(mode="json"),
            )

    return RetriesController
