"""``/api/wallet``: balances, history, payout requests."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Page, page_limit
from prizewire_rewards import metrics
from prizewire_rewards.domain.commands import CancelPayout, RequestPayout
from prizewire_rewards.domain.views import PayoutView
from prizewire_rewards.entrypoints.http.bodies import CancelBody, PayoutBody
from prizewire_rewards.entrypoints.http.examples import wallets as examples
from prizewire_rewards.entrypoints.http.front import Front, IdempotencyKey, pages_of, player_of, time_cursor
from prizewire_rewards.entrypoints.http.listing import HistoryQuery, list_entries
from prizewire_rewards.handlers.payouts import cancel_payout, request_payout

__all__ = ["WalletController"]


class WalletController(Controller):
    """A player's own money; operators and admins name a player."""

    path = "/api/wallet"
    tags = ["wallet"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Balances by asset", responses=examples.WALLET)
    async def balances(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        player: FromQuery[str | None] = None,
    ) -> dict[str, Any]:
        """Winnings, top-ups, pending prizes and payouts under way; operators and admins name a player."""
        owner = player_of(request.user, player)
        found = await front.read(lambda queries: queries.balances(owner))
        return {
            "player": owner,
            "balances": [
                {
                    "asset": balance.asset,
                    "winnings": front.wire(balance.asset, balance.winnings),
                    "topup": front.wire(balance.asset, balance.topup),
                    "pending": front.wire(balance.asset, balance.pending),
                    "held": front.wire(balance.asset, balance.held),
                    "payout_pending": front.wire(balance.asset, balance.payout_pending),
                    "lifetime_earnings": front.wire(balance.asset, balance.lifetime_earnings),
                    "short": front.wire(balance.asset, balance.short),
                    "owed": front.wire(balance.asset, balance.owed),
                }
                for balance in found
            ],
        }

    @get("/transactions", guards=[require()], summary="History, newest first", responses=examples.HISTORY)
    async def transactions(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        history: HistoryQuery,
        player: FromQuery[str | None] = None,
    ) -> Page:
        """Entries of all buckets, filtered by type, asset and time."""
        return await list_entries(front, history, player=player_of(request.user, player))

    @post(
        "/payout-request",
        guards=[require(Role.PLAYER)],
        summary="Have winnings paid out",
        status_code=202,
        responses=examples.PAYOUT_REQUESTED,
    )
    async def request_payout(
        self,
        *,
        front: NamedDependency[Front],
        data: JSONBody[PayoutBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[dict[str, Any]]:
        """Move winnings into a payout request. It is paid by the named method, or by the default one."""
        asset = front.asset(data.asset)
        amount = front.minor(asset, data.amount)

        async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, dict[str, Any]]:
            command = RequestPayout(
                id=identifier,
                player=request.user.player,
                asset=asset.code,
                amount=amount,
                method_id=data.method_id,
                pay_asset=data.pay_asset,
            )
            payout = await request_payout(
                command, work=front.works.of(tx), tools=front.tools, now=front.clock.now()
            )
            after_commit(tx, metrics.PAYOUTS_REQUESTED.labels("player").inc)
            return 202, {
                "payout_id": str(payout.id),
                "state": payout.state,
                "fee": front.wire(payout.asset, payout.fee),
                "pay_amount": front.wire(payout.asset, payout.pay_amount),
            }

        return await front.once(
            principal=request.user,
            route="POST /api/wallet/payout-request",
            key=key,
            body=data.model_dump(mode="json"),
            work=work,
        )

    @get(
        "/payout-requests",
        guards=[require()],
        summary="Payout requests, newest first",
        responses=examples.PAYOUTS,
    )
    async def payout_requests(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        player: FromQuery[str | None] = None,
        wanted: Annotated[str | None, QueryParameter(name="state")] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> Page:
        """Requests with their state and outcome."""
        size = page_limit(limit)
        before = time_cursor(cursor)
        owner = player_of(request.user, player)
        found = await front.read(
            lambda queries: queries.payouts(player=owner, limit=size, before=before, state=wanted)
        )
        last = [found[-1].requested_at.isoformat(), str(found[-1].id)] if found else None
        return pages_of([_payout(front, view) for view in found], limit=size, cursor=last)

    @post(
        "/payout-requests/{payout_id:uuid}/cancel",
        guards=[require(Role.PLAYER)],
        status_code=202,
        summary="Ask to stop a payout, while it is still possible",
        responses=examples.PAYOUT_CANCEL,
    )
    async def cancel(
        self,
        *,
        front: NamedDependency[Front],
        payout_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
        data: JSONBody[CancelBody | None] = None,
    ) -> dict[str, Any]:
        """Ask payouts to cancel; it decides. The money comes back once the cancel is proven."""
        command = CancelPayout(
            payout_id=payout_id, player=request.user.player, reason=(data or CancelBody()).reason
        )

        async def ask(tx: AsyncConnection) -> dict[str, Any]:
            payout = await cancel_payout(command, work=front.works.of(tx), now=front.clock.now())
            return {"payout_id": str(payout.id), "state": payout.state}

        return await front.attempt(ask)


def _payout(front: Front, view: PayoutView) -> dict[str, Any]:
    return {
        "payout_id": str(view.id),
        "player": view.player,
        "asset": view.asset,
        "amount": front.wire(view.asset, view.amount),
        "fee": front.wire(view.asset, view.fee),
        "pay_amount": front.wire(view.asset, view.amount - view.fee),
        "state": view.state,
        "method_id": str(view.method_id) if view.method_id else None,
        "round_id": str(view.round_id) if view.round_id else None,
        "correlation_id": view.correlation_id,
        "requested_at": view.requested_at.isoformat(),
        "changed_at": view.changed_at.isoformat(),
        "outcome": dict(view.outcome) if view.outcome else None,
    }
