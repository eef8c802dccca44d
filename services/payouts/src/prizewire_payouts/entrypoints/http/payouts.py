"""`/api/payouts`: a player's own payouts."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.params import FromPath, FromQuery

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Page, Problem
from prizewire_payouts.entrypoints.http.listing import page_of
from prizewire_payouts.entrypoints.http.parts import HttpParts, shown_parties, shown_payout

__all__ = ["payouts_controller"]

_STAFF = (Role.OPERATOR, Role.APPROVER, Role.ADMIN)


def payouts_controller(parts: HttpParts) -> type[Controller]:
    """The controller over these parts."""

    class PayoutsController(Controller):
        path = "/api/payouts"
        guards = [require(Role.PLAYER, *_STAFF)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts"]  # noqa: RUF012 - Litestar reads a plain list

        @get("/", summary="Your payouts, oldest first")
        async def own(
            self,
            request: Request[Principal, Any, Any],
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> Page:
            return await page_of(parts, cursor=cursor, limit=limit, player=request.user.player)

        @get("/{payout_id:uuid}", summary="One payout with its attempts and proof")
        async def one(
            self, payout_id: FromPath[UUID], request: Request[Principal, Any, Any]
        ) -> dict[str, Any]:
            async with parts.db.transaction() as tx:
                store = parts.store(tx)
                payout = await store.payout(payout_id)
                user = request.user
                if payout is None or not (user.has(*_STAFF) or payout.player == user.player):
                    # one answer for both: ids of others are not to be probed
                    raise Problem(status=404, code="payout_not_found", detail="you have no such payout")
                attempts = await store.attempts(payout_id)
            parties = shown_parties(payout) if user.has(*_STAFF) else {}
            return {**shown_payout(payout, attempts=attempts), **parties}

    return PayoutsController
