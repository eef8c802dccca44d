"""``/api/wallet``: balances, history, payout requests."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_rewards import metrics
from prizewire_rewards.http.codes import AMOUNT_CODES, refusing
from prizewire_rewards.http.context import Front, IdempotencyKey, page_of, player_of, time_cursor
from prizewire_rewards.http.parameters import PlayerFilter
from prizewire_rewards.payouts.domain.commands import CancelPayout, RequestPayout
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.payouts.domain.views import PayoutView
from prizewire_rewards.payouts.handlers.requests import cancel_payout, request_payout
from prizewire_rewards.payouts.storage.views import list_payouts
from prizewire_rewards.wallets.domain.history import WalletBalance
from prizewire_rewards.wallets.http.answers import (
    BalanceAnswer,
    PayoutAnswer,
    PayoutAskedAnswer,
    PayoutCancelAnswer,
    PayoutOutcome,
    WalletAnswer,
)
from prizewire_rewards.wallets.http.bodies import CancelBody, PayoutBody
from prizewire_rewards.wallets.http.listing import PAGE_REFUSALS, HistoryPage, HistoryQuery, player_page
from prizewire_rewards.wallets.http.transfer_answers import PlayerTransferAnswer
from prizewire_rewards.wallets.storage.balances import wallet_balances


class WalletController(Controller):
    """A player's own money; operators and admins name a player."""

    path = "/api/wallet"
    tags = ["wallet"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Balances by asset")
    async def balances(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        player: PlayerFilter = None,
    ) -> WalletAnswer:
        """Winnings, top-ups, pending prizes and payouts under way; operators and admins name a player."""
        owner = player_of(request.user, player)
        found = await front.read(lambda tx: wallet_balances(tx, owner))
        return WalletAnswer(player=owner, balances=[_balance(front, balance) for balance in found])

    @get(
        "/transactions",
        guards=[require()],
        summary="History, newest first",
        refusals={400: PAGE_REFUSALS},
    )
    async def transactions(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        history: HistoryQuery,
        paging: HistoryPage,
        player: PlayerFilter = None,
    ) -> PageOf[PlayerTransferAnswer]:
        """Entries of all buckets, filtered by type, asset and time."""
        return await player_page(front, history, paging, player=player_of(request.user, player))

    @post(
        "/payout-request",
        guards=[require(Role.PLAYER)],
        summary="Have winnings paid out",
        status_code=202,
        refusals=refusing(
            *AMOUNT_CODES,
            "asset_unknown",
            "asset_not_redeemable",
            "quote_required",
            "method_unknown",
            "no_payout_method",
            "amount_not_positive",
            "amount_below_minimum",
            "amount_above_maximum",
            "daily_limit_exceeded",
            "insufficient_balance",
        ),
    )
    async def request_payout(
        self,
        *,
        front: NamedDependency[Front],
        data: JSONBody[PayoutBody],
        request: Request[Principal, Any, Any],
        key: IdempotencyKey = None,
    ) -> Response[PayoutAskedAnswer]:
        """Move winnings into a payout request. It is paid by the named method, or by the default one."""
        asset = front.asset(data.asset)
        amount = front.minor(asset, data.amount)

        async def work(tx: AsyncConnection, identifier: UUID) -> tuple[int, PayoutAskedAnswer]:
            command = RequestPayout(
                id=identifier,
                player=request.user.player,
                asset=asset.code,
                amount=amount,
                method_id=data.method_id,
                pay_asset=data.pay_asset,
            )
            payout = await request_payout(
                command, ports=front.ports_of(tx), tools=front.tools, now=front.clock.now()
            )
            after_commit(tx, metrics.PAYOUTS_REQUESTED.labels("player").inc)
            return 202, PayoutAskedAnswer(
                payout_id=payout.id,
                state=payout.state,
                player_fee=front.wire(payout.asset, payout.fee),
                pay_amount=front.wire(payout.asset, payout.pay_amount),
            )

        return await front.once(
            principal=request.user,
            route="POST /api/wallet/payout-request",
            key=key,
            body=data.model_dump(mode="json"),
            work=work,
            answers=PayoutAskedAnswer,
        )

    @get("/payout-requests", guards=[require()], summary="Payout requests, newest first")
    async def payout_requests(
        self,
        *,
        front: NamedDependency[Front],
        request: Request[Principal, Any, Any],
        player: PlayerFilter = None,
        wanted: Annotated[PayoutState | None, QueryParameter(name="state")] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[PayoutAnswer]:
        """Requests with their state and outcome."""
        size = page_limit(limit)
        before = time_cursor(cursor)
        owner = player_of(request.user, player)
        found = await front.read(
            lambda tx: list_payouts(tx, player=owner, limit=size, before=before, state=wanted)
        )
        last = [found[-1].requested_at.isoformat(), str(found[-1].id)] if found else None
        return page_of([_payout(front, view, player=owner) for view in found], limit=size, cursor=last)

    @post(
        "/payout-requests/{payout_id:uuid}/cancel",
        guards=[require(Role.PLAYER)],
        status_code=202,
        summary="Ask to stop a payout, while it is still possible",
        refusals=refusing("payout_unknown", "payout_final"),
    )
    async def cancel(
        self,
        *,
        front: NamedDependency[Front],
        payout_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
        data: JSONBody[CancelBody | None] = None,
    ) -> PayoutCancelAnswer:
        """Ask payouts to cancel; it decides. The money comes back once the cancel is proven."""
        command = CancelPayout(
            payout_id=payout_id, player=request.user.player, reason=(data or CancelBody()).reason
        )

        async def ask(tx: AsyncConnection) -> PayoutCancelAnswer:
            payout = await cancel_payout(command, ports=front.ports_of(tx), now=front.clock.now())
            return PayoutCancelAnswer(payout_id=payout.id, state=payout.state)

        return await front.attempt(ask)


def _balance(front: Front, balance: WalletBalance) -> BalanceAnswer:
    return BalanceAnswer(
        asset=balance.asset,
        winnings=front.wire(balance.asset, balance.winnings),
        topup=front.wire(balance.asset, balance.topup),
        pending=front.wire(balance.asset, balance.pending),
        held=front.wire(balance.asset, balance.held),
        payout_pending=front.wire(balance.asset, balance.payout_pending),
        lifetime_earnings=front.wire(balance.asset, balance.lifetime_earnings),
        short=front.wire(balance.asset, balance.short),
        owed=front.wire(balance.asset, balance.owed),
    )


def _payout(front: Front, view: PayoutView, *, player: str) -> PayoutAnswer:
    outcome = None
    if view.outcome:
        outcome = PayoutOutcome.model_validate(
            {name: view.outcome.get(name) for name in PayoutOutcome.model_fields}
        )
    return PayoutAnswer(
        payout_id=view.id,
        player=player,
        asset=view.asset,
        debit_amount=front.wire(view.asset, view.amount),
        player_fee=front.wire(view.asset, view.fee),
        pay_amount=front.wire(view.asset, view.amount - view.fee),
        state=view.state,
        method_id=view.method_id,
        round_id=view.round_id,
        correlation_id=view.correlation_id,
        requested_at=view.requested_at,
        changed_at=view.changed_at,
        outcome=outcome,
    )
