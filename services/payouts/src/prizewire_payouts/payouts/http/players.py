"""`/api/payouts`: a player's own payouts."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import Provide
from litestar.params import FromPath

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http.answers import PageOf
from prizewire_payouts.payouts.domain.errors import NOT_ARRIVED_YET, PayoutNotFound
from prizewire_payouts.payouts.http.answers import PayoutAnswer, PayoutDetailAnswer, detail_answer
from prizewire_payouts.payouts.http.listing import (
    LISTING_REFUSALS,
    ListingQuery,
    PayoutContext,
    filters_of,
    page_of,
)
from prizewire_payouts.payouts.storage.queries import PayoutQueries
from prizewire_payouts.unit_of_work import UnitOfWork

_STAFF = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


def payouts_controller(context: PayoutContext) -> type[Controller]:
    """The controller over this context."""

    class PayoutsController(Controller):
        path = "/api/payouts"
        guards = [require(Role.PLAYER, *_STAFF)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="Your payouts, newest first",
            dependencies={"wanted": Provide(filters_of(context), sync_to_thread=False)},
            refusals=LISTING_REFUSALS,
        )
        async def own(
            self, wanted: ListingQuery, request: Request[Principal, Any, Any]
        ) -> PageOf[PayoutAnswer]:
            return await page_of(context, wanted, player=request.user.player)

        @get(
            "/{payout_id:uuid}",
            summary="One payout with its attempts and proof",
            refusals={404: ("payout_not_found",)},
        )
        async def one(
            self, payout_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> PayoutDetailAnswer:
            user = request.user
            staff = user.has(*_STAFF)

            async def find(unit_of_work: UnitOfWork) -> PayoutDetailAnswer:
                queries = PayoutQueries(unit_of_work)
                payout = await queries.find(payout_id)
                if payout is None or not (staff or payout.player == user.player):
                    # the same answer for both, so that a player cannot find out ids of others
                    raise PayoutNotFound(f"you have no payout {payout_id}{NOT_ARRIVED_YET}")
                attempts = await queries.attempts(payout_id)
                return detail_answer(payout, attempts=attempts, for_staff=staff)

            return await context.read(find)

    return PayoutsController
