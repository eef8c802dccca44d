"""Payout requests of players and of directly paid prizes, their signed intents, and requests to cancel payouts."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.intents import AllowedDestination, Intent
from prizewire_money import Amount
from prizewire_rewards.errors import InsufficientBalance, InvalidRequest, NotFound, Refused
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.records import CreditParties, Transition, step
from prizewire_rewards.ledger.handlers import Booking, Remainder, UnitOfWork
from prizewire_rewards.payouts.domain.commands import CancelPayout, RequestPayout
from prizewire_rewards.payouts.domain.funding import Destination, FundingAccount
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
        raise InvalidRequest("asset_unknown", tools.assets.refusal_of(command.asset))
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
        raise InsufficientBalance(asset=asset, balance=balance, amount=command.amount)
    if rule.daily_limit is not None:
        # The lock of the wallet lets only one request of the player at a time count the earlier ones.
        requested = await ports.payouts.requested_since(
            player=command.player, asset=asset.code, since=day_of(now)
        )
        rule.check(asset, amount=command.amount, requested_today=requested)
    wallet = Account(Kind.WINNINGS, command.player, asset.code)
    # The payout has the parties then. Its give-back stores them with the wallet again.
    credited_by = await ports.parties.take(wallet, whole=balance == command.amount)
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
    await ports.payouts.add([payout], now=now)
    uow = UnitOfWork(ports, now=now)
    uow.bookings.append(
        Booking([requested_move(payout)], cause=f"payout/{payout.id}", correlation_id=payout.correlation_id)
    )
    source = "auto" if payout.filed_by == AUTO_WITHDRAWAL else "http"
    uow.transitions.append(
        Transition(
            "payout",
            payout.id,
            was="",
            to=payout.state,
            cause=f"{source}/{payout.id}",
            correlation_id=payout.correlation_id,
        )
    )
    uow.events.append(PayoutRequested(payout=payout))
    await uow.save()


async def _method_of(command: RequestPayout, *, ports: PayoutPorts) -> Method:
    if command.method_id is None:
        found = await ports.methods.defaults([command.player])
        if command.player not in found:
            raise InvalidRequest(
                NO_PAYOUT_METHOD,
                "no default payout method is registered: register one with POST /api/payout-methods, or name one in "
                "method_id; a new one can be used after a moment",
            )
        return found[command.player]
    method = await ports.methods.get(command.method_id)
    if method is None or method.player != command.player or not method.active:
        raise InvalidRequest("method_unknown", unknown_method(command.method_id))
    return method


def unknown_method(method_id: UUID) -> str:
    """The sentence that refuses a payout method which the player does not have."""
    return (
        f"the player has no active payout method {method_id}: GET /api/payout-methods lists those that the player has, with "
        "their ids; use one of them, or register one with POST /api/payout-methods. A new method is known here some seconds "
        "after its registration: send the same request again then"
    )


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
    uow.transitions.append(
        Transition(
            "payout",
            payout.id,
            was=payout.state,
            to=requested.state,
            cause=f"cancel/{command.player}",
            correlation_id=payout.correlation_id,
        )
    )
    uow.events.append(
        PayoutCancelRequested(
            payout=requested, by=command.player, code="cancelled_by_player", reason=command.reason
        )
    )
    await uow.save()
    return requested


NO_PAYOUT_METHOD = "no_payout_method"


class DirectPrize(NamedTuple):
    """A credit of a prize that is paid out at once to ``method``. ``ordinal`` numbers the payouts of one prize."""

    campaign: UUID
    round_id: UUID
    reward_id: UUID
    ordinal: int
    correlation_id: str
    method: Method


def request_direct(
    remainders: Iterable[Remainder],
    prizes: Mapping[tuple[str, int], DirectPrize],
    *,
    uow: UnitOfWork,
    tools: PayoutTools,
) -> dict[UUID, Payout]:
    """Request payouts of the amounts that credits of direct prizes left after debts were recovered. ``prizes`` are by cause
    and ordinal of the credit. Returns the payouts by reward id; the caller stores them.
    """
    payouts: dict[UUID, Payout] = {}
    for (credit, cause, credited_by), left in remainders:
        prize = prizes.get((cause, credit.ordinal))
        if prize is None or not left:
            continue
        payout = make_payout(
            payout_id=ids.payout_id_for_round(
                round_id=prize.round_id, player=credit.account.owner, ordinal=prize.ordinal
            ),
            method=prize.method,
            asset=credit.account.asset,
            amount=left,
            correlation_id=prize.correlation_id,
            filed_by="rewards:direct",
            campaign=prize.campaign,
            round_id=prize.round_id,
            credited_by=credited_by,
            tools=tools,
            now=uow.now,
        )
        payouts[prize.reward_id] = payout
        move = requested_move(payout)._replace(ordinal=credit.ordinal)
        uow.bookings.append(Booking([move], cause=cause, correlation_id=prize.correlation_id))
    return payouts


def make_payout(
    *,
    payout_id: UUID,
    method: Method,
    asset: str,
    amount: int,
    correlation_id: str,
    filed_by: str,
    campaign: UUID | None,
    round_id: UUID | None,
    credited_by: CreditParties,
    tools: PayoutTools,
    now: datetime,
    fee: int = 0,
) -> Payout:
    """Create a payout to ``method`` with its signed intent, as version 1. The paid asset is the debited asset. The ``fee``,
    which the player bears, is debited and not paid.
    """
    intent = _intent(
        payout_id=payout_id,
        correlation_id=correlation_id,
        player=method.player,
        campaign=campaign,
        funding_account=None,
        asset=asset,
        debit=amount,
        pay=amount - fee,
        to=AllowedDestination(
            rail=method.rail_type,
            destination=method.address,
            commitment=method.commitment,
            memo=method.memo,
        ),
        tools=tools,
        now=now,
    )
    return Payout(
        id=payout_id,
        player=method.player,
        asset=asset,
        amount=amount,
        correlation_id=correlation_id,
        state=PayoutState.REQUESTED,
        filed_by=filed_by,
        method_id=method.id,
        method_version=method.version,
        rail_types=(method.rail_type,),
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        campaign=campaign,
        round_id=round_id,
        fee=fee,
        version=1,
        credited_by=credited_by,
    )


def make_operator_payout(
    *,
    payout_id: UUID,
    account: FundingAccount,
    amount: int,
    destination: Destination,
    filed_by: str,
    credited_by: CreditParties,
    tools: PayoutTools,
    now: datetime,
) -> Payout:
    """Create a payout out of a funding account to an address in clear text, with its signed intent, as version 1. It has no
    player, campaign or method; its id is its correlation id.
    """
    intent = _intent(
        payout_id=payout_id,
        correlation_id=str(payout_id),
        player=None,
        campaign=None,
        funding_account=account.name,
        asset=account.asset,
        debit=amount,
        pay=amount,
        to=AllowedDestination(
            rail=destination.rail_type, destination=destination.address, memo=destination.memo
        ),
        tools=tools,
        now=now,
    )
    return Payout(
        id=payout_id,
        player=None,
        asset=account.asset,
        amount=amount,
        correlation_id=str(payout_id),
        state=PayoutState.REQUESTED,
        filed_by=filed_by,
        method_id=None,
        method_version=None,
        rail_types=(destination.rail_type,),
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        funding_account=account.name,
        version=1,
        credited_by=credited_by,
    )


def _intent(
    *,
    payout_id: UUID,
    correlation_id: str,
    player: str | None,
    campaign: UUID | None,
    funding_account: str | None,
    asset: str,
    debit: int,
    pay: int,
    to: AllowedDestination,
    tools: PayoutTools,
    now: datetime,
) -> Intent:
    issued_at = int(now.timestamp())
    known = tools.assets[asset]
    return Intent(
        v=1,
        network=tools.network,
        payout_id=str(payout_id),
        correlation_id=correlation_id,
        player=player,
        campaign=str(campaign) if campaign else None,
        funding_account=funding_account,
        debit_asset=asset,
        debit_amount=Amount(known, debit).to_wire(),
        pay_asset=asset,
        pay_amount=Amount(known, pay).to_wire(),
        allowed=(to,),
        issued_at=issued_at,
        expires_at=issued_at + int(tools.intent_lifetime.total_seconds()),
        key_id=tools.signer.key_id,
    )


def intent_of(payout: Payout) -> Intent:
    """The intent in a payout's row, whether it is signed or not.

    Raises:
        KeyError, TypeError: the row holds something else.
    """
    allowed = tuple(AllowedDestination(**one) for one in payout.intent["allowed"])
    return Intent(**{**payout.intent, "allowed": allowed})


def renew_intent(payout: Payout, *, tools: PayoutTools, now: datetime) -> Payout:
    """Create the next version of a payout, with an intent on the same terms that is valid from now on.

    Raises:
        Refused: ``intent_invalid``: rewards never signed the stored intent, or its terms are not those of the payout.
    """
    problem = tools.intents.problem_of(payout)
    if problem is not None:
        raise Refused("intent_invalid", f"the stored intent of payout {payout.id} is not renewed: {problem}")
    issued_at = int(now.timestamp())
    intent = replace(
        intent_of(payout),
        issued_at=issued_at,
        expires_at=issued_at + int(tools.intent_lifetime.total_seconds()),
        key_id=tools.signer.key_id,
    )
    return replace(
        payout,
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        version=payout.version + 1,
    )
