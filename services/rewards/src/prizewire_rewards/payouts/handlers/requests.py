"""Payout requests of players, and requests to cancel them."""

from dataclasses import replace
from datetime import datetime

from prizewire_rewards.errors import InsufficientBalance, InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.payouts.domain.commands import CancelPayout, RequestPayout
from prizewire_rewards.payouts.domain.model import (
    PAYOUT_EDGES,
    PAYOUT_FINAL,
    Method,
    Payout,
    PayoutCancelRequested,
    PayoutRequested,
    PayoutState,
)
from prizewire_rewards.payouts.domain.rules import requested_move
from prizewire_rewards.payouts.domain.withdrawals import day_of
from prizewire_rewards.payouts.handlers.direct import NO_PAYOUT_METHOD
from prizewire_rewards.payouts.handlers.intents import make_payout
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools

AUTO_WITHDRAWAL = "rewards:auto_withdraw"
"""``filed_by`` of payouts that an automatic withdrawal requests."""


async def request_payout(
    command: RequestPayout, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> Payout:
    """Move winnings into a payout request and send it to payouts. The request has a new correlation id. Nothing is written
    before all checks have passed.

    Raises:
        InvalidRequest: ``asset_unknown``, ``asset_not_redeemable``, ``quote_required`` (another asset is to arrive),
            ``method_unknown``, ``no_payout_method``, or what the rule of the asset forbids: ``amount_not_positive``,
            ``amount_below_minimum``, ``amount_above_maximum``, ``daily_limit_exceeded``.
        InsufficientBalance: the winnings do not cover it.
    """
    asset = tools.assets.get(command.asset)
    if asset is None:
        raise InvalidRequest("asset_unknown", f"there is no asset {command.asset}")
    if not asset.redeemable:
        raise InvalidRequest("asset_not_redeemable", f"{asset.code} can never be paid out")
    if command.pay_asset is not None and command.pay_asset != asset.code:
        raise InvalidRequest(
            "quote_required", f"{asset.code} is paid out in {command.pay_asset} only with a quote"
        )
    rule = tools.payout_rules.of_player(asset.code)
    rule.check(asset, amount=command.amount, requested_today=0)
    method = await _method_of(command, ports=ports)
    balance = await ports.ledger.lock_balance(Account(Kind.WINNINGS, command.player, asset.code))
    if balance < command.amount:
        raise InsufficientBalance(asset=asset.code, balance=balance, amount=command.amount)
    if rule.daily_limit is not None:
        # The lock of the wallet lets only one request of the player at a time count the earlier ones.
        requested = await ports.payouts.requested_since(
            player=command.player, asset=asset.code, since=day_of(now)
        )
        rule.check(asset, amount=command.amount, requested_today=requested)
    wallet = Account(Kind.WINNINGS, command.player, asset.code)
    credited_by = await ports.parties.of_wallet(wallet)
    if balance == command.amount and credited_by.parties:
        # The payout has the parties now. Its give-back stores them with the wallet again.
        await ports.parties.forget(wallet)
    payout = make_payout(
        payout_id=command.id,
        method=method,
        asset=asset.code,
        amount=command.amount,
        correlation_id=str(command.id),
        filed_by=command.filed_by or command.player,
        campaign=None,
        round_id=None,
        fee=rule.fee(amount=command.amount),
        credited_by=credited_by,
        tools=tools,
        now=now,
    )
    await store_request(payout, ports=ports, now=now)
    return payout


async def store_request(payout: Payout, *, ports: PayoutPorts, now: datetime) -> None:
    """Move a new payout's money to its account, store the payout, and emit the event that requests it."""
    uow = UnitOfWork(ports, now=now)
    uow.book([requested_move(payout)], cause=f"payout/{payout.id}", correlation_id=payout.correlation_id)
    await uow.post()
    await ports.payouts.add([payout], now=now)
    source = "auto" if payout.filed_by == AUTO_WITHDRAWAL else "http"
    uow.transition(
        "payout",
        payout.id,
        was="",
        to=payout.state,
        cause=f"{source}/{payout.id}",
        correlation_id=payout.correlation_id,
    )
    uow.emit(PayoutRequested(payout=payout))
    await uow.save()


async def _method_of(command: RequestPayout, *, ports: PayoutPorts) -> Method:
    if command.method_id is None:
        found = await ports.methods.defaults([command.player])
        if command.player not in found:
            raise InvalidRequest(NO_PAYOUT_METHOD, "no default payout method is registered")
        return found[command.player]
    method = await ports.methods.get(command.method_id)
    if method is None or method.player != command.player or not method.active:
        raise InvalidRequest("method_unknown", f"there is no payout method {command.method_id}")
    return method


async def cancel_payout(command: CancelPayout, *, ports: PayoutPorts, now: datetime) -> Payout:
    """Request the cancellation of a payout; payouts decides. A second request has no effect, also where rewards made the
    first one: the reason of the first request stays.

    Raises:
        NotFound: ``payout_unknown``; also for the payout of another player.
        InvalidRequest: ``payout_final``: the payout has ended.
    """
    payout = (await ports.payouts.lock([command.payout_id])).get(command.payout_id)
    if payout is None or payout.player != command.player:
        raise NotFound("payout_unknown", f"there is no payout {command.payout_id}")
    if payout.state in PAYOUT_FINAL:
        raise InvalidRequest("payout_final", f"payout {payout.id} is {payout.state} and cannot be cancelled")
    if payout.state is PayoutState.CANCEL_REQUESTED:
        return payout
    requested = replace(
        payout,
        state=step(edges=PAYOUT_EDGES, was=payout.state, to=PayoutState.CANCEL_REQUESTED),
        version=payout.version + 1,
    )
    uow = UnitOfWork(ports, now=now)
    await ports.payouts.save([requested], now=now)
    uow.transition(
        "payout",
        payout.id,
        was=payout.state,
        to=requested.state,
        cause=f"cancel/{command.player}",
        correlation_id=payout.correlation_id,
    )
    uow.emit(
        PayoutCancelRequested(
            payout=requested, by=command.player, code="cancelled_by_player", reason=command.reason
        )
    )
    await uow.save()
    return requested
