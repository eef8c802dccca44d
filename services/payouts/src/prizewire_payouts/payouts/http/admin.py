"""`/api/admin/payouts`: payouts of everybody, and cancels by operators. Every cancel is audited."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import Provide
from litestar.params import FromPath, JSONBody, QueryParameter

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, RequiredKey
from prizewire_chassis.http.answers import PageOf
from prizewire_contracts import text
from prizewire_payouts.http.members import Reason
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.handlers.operators import cancel_payout
from prizewire_payouts.payouts.http.answers import DecisionAnswer, PayoutAnswer, decision_answer
from prizewire_payouts.payouts.http.listing import (
    LISTING_REFUSALS,
    PAGE_MAX,
    ListingQuery,
    PayoutContext,
    filters_of,
    page_of,
)
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.unit_of_work import UnitOfWork


def admin_controller(context: PayoutContext) -> type[Controller]:
    """The controller over this context."""

    class AdminController(Controller):
        path = "/api/admin/payouts"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="Payouts, newest first; of one player, or of everybody",
            dependencies={"wanted": Provide(filters_of(context), sync_to_thread=False)},
            refusals={400: (*LISTING_REFUSALS[400], "page_invalid")},
        )
        async def list_payouts(
            self,
            wanted: ListingQuery,
            player: Annotated[
                str | None,
                QueryParameter(description="Whose payouts.", min_length=1, max_length=text.NAME_LENGTH_MAX),
            ] = None,
            page: Annotated[
                int | None,
                QueryParameter(
                    description="As earlier systems count, from 1. A cursor goes before it.",
                    schema_extra={"type": "integer", "minimum": 1, "maximum": PAGE_MAX},
                ),
            ] = None,
        ) -> PageOf[PayoutAnswer]:
            return await page_of(context, wanted, player=player, page=page)

        @post(
            "/{payout_id:uuid}/cancel",
            status_code=202,
            summary="Ask for a payout to be cancelled",
            refusals={404: ("payout_not_found",), 409: ("not_cancellable",)},
        )
        async def cancel(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[Reason],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[DecisionAnswer]:
            async def cancel(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, DecisionAnswer]:
                payout = await cancel_payout(
                    PayoutStorage(action.unit_of_work),
                    payout_id=payout_id,
                    by=action.actor.subject,
                    reason=data.reason,
                    now=action.now,
                )
                await record_decision(action, "payout.cancel_asked", payout, reason=data.reason)
                return 202, decision_answer(payout, approvers=())

            return await context.once(
                cancel,
                answers=DecisionAnswer,
                actor=request.user,
                route=f"POST /api/admin/payouts/{payout_id}/cancel",
                key=key,
                body=data.model_dump(),
            )

    return AdminController


async def record_decision(
    action: Action[UnitOfWork, UnitOfWork], name: str, payout: Payout, *, reason: str | None
) -> None:
    """Add an audit record of what the caller decided about a payout."""
    await action.record(
        name,
        target=str(payout.payout_id),
        reason=reason,
        detail={
            "state": str(payout.state),
            "amount": payout.amount.to_wire(),
            "asset": payout.amount.asset.code,
        },
        correlation_id=payout.correlation_id,
    )
