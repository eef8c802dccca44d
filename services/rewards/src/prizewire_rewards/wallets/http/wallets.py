"""``/api/wallet``: balances, history, payout requests."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import BY_TIME_AND_ID, RequiredKey, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_rewards import metrics
from prizewire_rewards.http.bodies import PlayerFilter
from prizewire_rewards.http.codes import AMOUNT_CODES, STATUSES
from prizewire_rewards.http.context import Amounts, RewardsAction, player_of
from prizewire_rewards.payouts.domain.commands import CancelPayout, RequestPayout
from prizewire_rewards.payouts.domain.model import PayoutState, PayoutView
from prizewire_rewards.payouts.domain.quotes import SignedQuote
from prizewire_rewards.payouts.handlers.cancelling import cancel_payout
from prizewire_rewards.payouts.handlers.requests import request_payout
from prizewire_rewards.payouts.http.answers import PayoutCancelAnswer
from prizewire_rewards.payouts.http.inline import INLINE_CODES, marked, read_inline
from prizewire_rewards.payouts.storage.views import list_payouts
from prizewire_rewards.wallets.domain.history import WalletBalance
from prizewire_rewards.wallets.http.answers import (
    BalanceAnswer,
    PayoutAnswer,
    PayoutOutcome,
    PayoutRequestedAnswer,
    WalletAnswer,
)
from prizewire_rewards.wallets.http.bodies import CancelBody, PayoutBody, QuoteBody
from prizewire_rewards.wallets.http.listing import (
    PAGE_REFUSALS,
    HistoryPage,
    HistoryQuery,
    WalletContext,
    player_page,
)
from prizewire_rewards.wallets.http.transfer_answers import PlayerTransferAnswer
from prizewire_rewards.wallets.ports import WalletPorts
from prizewire_rewards.wallets.storage.balances import wallet_balances

_Action = RewardsAction[WalletPorts]

_REQUEST_REFUSALS = STATUSES.refusals(
    *AMOUNT_CODES,
    "asset_unknown",
    "asset_not_redeemable",
    "quote_required",
    "quote_invalid",
    "quote_expired",
    "quote_mismatch",
    "quote_used",
    "exchange_not_allowed",
    "method_unknown",
    "no_payout_method",
    "amount_not_positive",
    "amount_below_minimum",
    "amount_above_maximum",
    "daily_limit_exceeded",
    "insufficient_balance",
    "sealing_key_missing",
)


class WalletController(Controller):
    """A player's own money. Operators and admins may name a player."""

    path = "/api/wallet"
    tags = ["wallet"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Balances by asset")
    async def balances(
        self,
        *,
        context: NamedDependency[WalletContext],
        request: Request[Principal, Any, Any],
        player: PlayerFilter = None,
    ) -> WalletAnswer:
        """Winnings, top-ups, pending prizes and open payouts. Operators and admins may name a player."""
        owner = player_of(request.user, player)
        found = await context.read(lambda tx: wallet_balances(tx, owner))
        return WalletAnswer(player=owner, balances=[_balance(context.amounts, balance) for balance in found])

    @get(
        "/transactions",
        guards=[require()],
        summary="History, newest first",
        refusals={400: PAGE_REFUSALS},
    )
    async def transactions(
        self,
        *,
        context: NamedDependency[WalletContext],
        request: Request[Principal, Any, Any],
        history: HistoryQuery,
        paging: HistoryPage,
        player: PlayerFilter = None,
    ) -> PageOf[PlayerTransferAnswer]:
        """Entries of all buckets, filtered by type, asset and time."""
        return await player_page(context, history, paging, player=player_of(request.user, player))

    @post(
        "/payout-request",
        guards=[require(Role.PLAYER)],
        summary="Request a payout of winnings; `GET /api/wallet/payout-requests` (plural) lists the requests",
        status_code=202,
        refusals={**_REQUEST_REFUSALS, 422: tuple(dict.fromkeys((*_REQUEST_REFUSALS[422], *INLINE_CODES)))},
    )
    async def request_payout(
        self,
        *,
        context: NamedDependency[WalletContext],
        data: JSONBody[PayoutBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[PayoutRequestedAnswer]:
        """Move winnings into a payout request. It is paid by the named payout method, to the details in `method`, or by the default
        method.
        """
        amount = context.amounts.parse(data.asset, data.amount)
        inline = None if data.method is None else read_inline(data.method, tools=context.tools)
        body = data.model_dump(mode="json", exclude={"method"})
        if inline is not None:
            body["method"] = marked(inline)

        async def ask(action: _Action) -> tuple[int, PayoutRequestedAnswer]:
            command = RequestPayout(
                id=action.id,
                player=request.user.player,
                asset=amount.asset.code,
                amount=amount.minor,
                method_id=data.method_id,
                pay_asset=data.pay_asset,
                quote=None if data.quote is None else _signed_quote(data.quote),
                inline=inline,
            )
            payout = await request_payout(
                command, ports=action.unit_of_work, tools=context.tools, now=action.now
            )
            after_commit(action.tx, metrics.PAYOUTS_REQUESTED.labels("player").inc)
            return 202, PayoutRequestedAnswer(
                payout_id=payout.id,
                state=payout.state,
                player_fee=context.amounts.text(payout.asset, payout.fee),
                pay_asset=payout.paid_asset,
                pay_amount=context.amounts.text(payout.paid_asset, payout.pay_amount),
            )

        return await context.once(
            ask,
            answers=PayoutRequestedAnswer,
            actor=request.user,
            route="POST /api/wallet/payout-request",
            key=key,
            body=body,
        )

    @get(
        "/payout-requests",
        guards=[require()],
        summary="Payout requests, newest first; `POST /api/wallet/payout-request` makes one",
    )
    async def payout_requests(
        self,
        *,
        context: NamedDependency[WalletContext],
        request: Request[Principal, Any, Any],
        player: PlayerFilter = None,
        wanted: Annotated[PayoutState | None, QueryParameter(name="state")] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[PayoutAnswer]:
        """Payout requests with their state and outcome."""
        size = page_limit(limit)
        before = BY_TIME_AND_ID.read(cursor)
        owner = player_of(request.user, player)
        found = await context.read(
            lambda tx: list_payouts(tx, player=owner, limit=size, before=before, state=wanted)
        )
        return BY_TIME_AND_ID.page(
            found,
            limit=size,
            key=lambda one: (one.requested_at, one.id),
            show=partial(_payout, context.amounts, player=owner),
        )

    @post(
        "/payout-requests/{payout_id:uuid}/cancel",
        guards=[require(Role.PLAYER)],
        status_code=202,
        summary="Request the cancel of a payout that is not final",
        refusals=STATUSES.refusals("payout_unknown", "payout_final"),
    )
    async def cancel(
        self,
        *,
        context: NamedDependency[WalletContext],
        payout_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
        data: JSONBody[CancelBody | None] = None,
    ) -> PayoutCancelAnswer:
        """The service payouts decides about the cancel. The money comes back once payouts has proved that nothing was paid."""
        command = CancelPayout(
            payout_id=payout_id,
            player=request.user.player,
            by=request.user.player,
            reason=(data or CancelBody()).reason,
        )

        async def ask(action: _Action) -> PayoutCancelAnswer:
            payout = await cancel_payout(command, ports=action.unit_of_work, now=action.now)
            return PayoutCancelAnswer(payout_id=payout.id, state=payout.state)

        return await context.change(ask, actor=request.user)


def _balance(amounts: Amounts, balance: WalletBalance) -> BalanceAnswer:
    return BalanceAnswer(
        asset=balance.asset,
        winnings=amounts.text(balance.asset, balance.winnings),
        topup=amounts.text(balance.asset, balance.topup),
        pending=amounts.text(balance.asset, balance.pending),
        held=amounts.text(balance.asset, balance.held),
        payout_pending=amounts.text(balance.asset, balance.payout_pending),
        lifetime_earnings=amounts.text(balance.asset, balance.lifetime_earnings),
        short=amounts.text(balance.asset, balance.short),
        owed=amounts.text(balance.asset, balance.owed),
    )


def _payout(amounts: Amounts, view: PayoutView, *, player: str) -> PayoutAnswer:
    outcome = None
    if view.outcome:
        outcome = PayoutOutcome.model_validate(
            {name: view.outcome.get(name) for name in PayoutOutcome.model_fields}
        )
    return PayoutAnswer(
        payout_id=view.id,
        player=player,
        asset=view.asset,
        debit_amount=amounts.text(view.asset, view.amount),
        player_fee=amounts.text(view.asset, view.fee),
        pay_asset=view.asset if view.pay_asset is None else view.pay_asset,
        pay_amount=amounts.text(view.asset, view.amount - view.fee)
        if view.pay_asset is None or view.pay is None
        else amounts.text(view.pay_asset, view.pay),
        state=view.state,
        payee=view.payee,
        method_id=view.method_id,
        round_id=view.round_id,
        correlation_id=view.correlation_id,
        requested_at=view.requested_at,
        changed_at=view.changed_at,
        outcome=outcome,
    )


def _signed_quote(body: QuoteBody) -> SignedQuote:
    fields = body.model_dump(mode="json")
    return SignedQuote(signature=fields.pop("signature"), fields=fields)
