"""`/api/payouts`: a player's own payouts."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import Provide
from litestar.params import FromPath

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Problem
from prizewire_chassis.http.answers import PageOf
from prizewire_payouts.errors import ON_ITS_WAY
from prizewire_payouts.http.parts import HttpParts
from prizewire_payouts.payouts.http.answers import PayoutAnswer, PayoutDetailAnswer, detail_answer
from prizewire_payouts.payouts.http.listing import LISTING_REFUSALS, ListingQuery, filters_of, page_of

_STAFF = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


def payouts_controller(parts: HttpParts) -> type[Controller]:
    """The controller over these parts."""

    class PayoutsController(Controller):
        path = "/api/payouts"
        guards = [require(Role.PLAYER, *_STAFF)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="Your payouts, newest first",
            dependencies={"wanted": Provide(filters_of(parts), sync_to_thread=False)},
            refusals=LISTING_REFUSALS,
        )
        async def own(
            self, wanted: ListingQuery, request: Request[Principal, Any, Any]
        ) -> PageOf[PayoutAnswer]:
            return await page_of(parts, wanted, player=request.user.player)

        @get(
            "/{payout_id:uuid}",
            summary="One payout with its attempts and proof",
            refusals={404: ("payout_not_found",)},
        )
        async def one(
            self, payout_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> PayoutDetailAnswer:
            async with parts.db.transaction() as tx:
                store = parts.store(tx)
                payout = await store.payout(payout_id)
                user = request.user
                if payout is None or not (user.has(*_STAFF) or payout.player == user.player):
                    # one answer for both: ids of others are not to be probed
                    detail = f"you have no payout {payout_id}{ON_ITS_WAY}"
                    raise Problem(status=404, code="payout_not_found", detail=detail)
                attempts = await store.attempts(payout_id)
            return detail_answer(payout, attempts=attempts, for_staff=user.has(*_STAFF))

    return PayoutsController
