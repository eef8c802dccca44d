"""Payout requests of players and of directly paid prizes, and their signed intents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.intents import INTENT_VERSION, AllowedWay, Intent
from prizewire_contracts.quotes import QuoteReference
from prizewire_money import Amount
from prizewire_rewards.assignments.domain import PayeeAssignment
from prizewire_rewards.errors import InsufficientBalance, InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.records import CreditParties, Transition
from prizewire_rewards.ledger.handlers import Booking, Remainder, UnitOfWork
from prizewire_rewards.payouts.domain.commands import RequestPayout
from prizewire_rewards.payouts.domain.funding import FundingAccount
from prizewire_rewards.payouts.domain.inline import INLINE_VERSION, InlineTerms, SealedDestination
from prizewire_rewards.payouts.domain.model import (
    NO_ORIGIN,
    BatchPlace,
    Method,
    Origin,
    Payout,
    PayoutRequested,
    PayoutState,
)
from prizewire_rewards.payouts.domain.quotes import SignedQuote
from prizewire_rewards.payouts.domain.rules import requested_moves
from prizewire_rewards.payouts.domain.withdrawals import day_of
from prizewire_rewards.payouts.handlers.terms import (
    apply_quote_of,
    assignment_of,
    check_unused,
    destination_of,
    reference_of,
)
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
            ``method_unknown``, ``method_type_unserved``, ``no_payout_method``, ``quote_invalid`` (payouts did not sign it),
            ``quote_expired``, ``quote_mismatch`` (also with details in the request), ``exchange_not_allowed``, ``quote_used``,
            ``sealing_key_missing``, or what the rule of the asset forbids: ``amount_not_positive``,
            ``amount_below_minimum``, ``amount_above_maximum``, ``daily_limit_exceeded``.
        InsufficientBalance: the winnings do not cover it.
    """
    asset = tools.assets.get(command.asset)
    if asset is None:
        raise InvalidRequest("asset_unknown", tools.assets.refusal_of(command.asset))
    if not asset.redeemable:
        raise InvalidRequest("asset_not_redeemable", f"{asset.code} can never be paid out")
    if command.quote is None and command.pay_asset is not None and command.pay_asset != asset.code:
        raise InvalidRequest(
            "quote_required",
            f"{asset.code} is paid out in {command.pay_asset} only with a quote: ask for one with POST /api/payout-quotes",
        )
    rule = tools.payout_rules.of_player(asset.code)
    rule.check(asset, amount=command.amount, requested_today=0)
    assignment = await assignment_of(command.player, ports=ports, now=now)
    method, sealed = await destination_of(command, assignment=assignment, ports=ports, tools=tools, now=now)
    fee = rule.fee(amount=command.amount)
    quoted = apply_quote_of(command, method=method, fee=fee, tools=tools, now=now)
    balance = await ports.ledger.lock_balance(Account(Kind.WINNINGS, command.player, asset.code))
    if balance < command.amount:
        raise InsufficientBalance(asset=asset, balance=balance, amount=command.amount)
    if rule.daily_limit is not None:
        # The lock of the wallet lets only one request of the player at a time count the earlier ones.
        requested = await ports.payouts.requested_since(
            player=command.player, asset=asset.code, since=day_of(now)
        )
        rule.check(asset, amount=command.amount, requested_today=requested)
    if command.quote is not None:
        await check_unused(command.quote, ports=ports)
    wallet = Account(Kind.WINNINGS, command.player, asset.code)
    # The payout has the parties then. Its give-back stores them with the wallet again.
    credited_by = await ports.parties.take(wallet, whole=balance == command.amount)
    payout = make_payout(
        payout_id=command.id,
        player=command.player,
        assignment=assignment,
        method=method,
        asset=asset.code,
        amount=command.amount,
        correlation_id=str(command.id),
        filed_by=command.filed_by or command.player,
        fee=fee if quoted is None else quoted.fee,
        quote=command.quote,
        pay_asset=None if quoted is None else quoted.pay_asset,
        pay=None if quoted is None else quoted.pay,
        credited_by=credited_by,
        inline=None if command.inline is None else command.inline.terms,
        tools=tools,
        now=now,
    )
    await store_request(payout, ports=ports, now=now, sealed=sealed)
    return payout


async def store_request(
    payout: Payout,
    *,
    ports: PayoutPorts,
    now: datetime,
    reward_ids: tuple[UUID, ...] = (),
    cause: str | None = None,
    sealed: SealedDestination | None = None,
) -> None:
    """Move a new payout's money to its account, store the payout, and emit the event that requests it. ``cause`` is the event
    that led to it, None for a request over HTTP or by a job. ``sealed`` are the details of the destination where the request
    named them.
    """
    await ports.payouts.add([payout], now=now)
    uow = UnitOfWork(ports, now=now)
    request_in(uow, payout)
    uow.events.append(PayoutRequested(payout=payout, reward_ids=reward_ids, cause=cause, sealed=sealed))
    await uow.save()


def request_in(uow: UnitOfWork, payout: Payout) -> None:
    """Book the money of a new payout and begin its history, in a unit of work."""
    uow.bookings.append(
        Booking(requested_moves(payout), cause=f"payout/{payout.id}", correlation_id=payout.correlation_id)
    )
    source = "auto" if payout.filed_by == AUTO_WITHDRAWAL else "http"
    if payout.retry_of is not None:
        source = "retry"
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


class DirectPrize(NamedTuple):
    """A credit of a prize that is paid out at once to ``method``. ``ordinal`` numbers the payouts of one prize."""

    origin: Origin
    round_id: UUID
    reward_id: UUID
    ordinal: int
    correlation_id: str
    method: Method
    assignment: PayeeAssignment | None = None


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
            player=credit.account.owner,
            assignment=prize.assignment,
            method=prize.method,
            asset=credit.account.asset,
            amount=left,
            correlation_id=prize.correlation_id,
            filed_by="rewards:direct",
            origin=prize.origin,
            round_id=prize.round_id,
            credited_by=credited_by,
            tools=tools,
            now=uow.now,
        )
        payouts[prize.reward_id] = payout
        moves = [move._replace(ordinal=credit.ordinal) for move in requested_moves(payout)]
        uow.bookings.append(Booking(moves, cause=cause, correlation_id=prize.correlation_id))
    return payouts


class Way(NamedTuple):
    """A way of paying, before the most that may be paid by it is known."""

    rail: str
    destination: str | None = None
    commitment: str | None = None
    memo: str | None = None


def make_payout(
    *,
    payout_id: UUID,
    player: str,
    assignment: PayeeAssignment | None,
    method: Method,
    asset: str,
    amount: int,
    correlation_id: str,
    filed_by: str,
    credited_by: CreditParties,
    tools: PayoutTools,
    now: datetime,
    origin: Origin = NO_ORIGIN,
    round_id: UUID | None = None,
    fee: int = 0,
    quote: SignedQuote | None = None,
    pay_asset: str | None = None,
    pay: int | None = None,
    retry_of: UUID | None = None,
    inline: InlineTerms | None = None,
) -> Payout:
    """Create a payout of ``player`` to ``method`` with its signed intent, as version 1. With an ``assignment`` the method is the
    payee's. The paid asset is the debited asset, unless
    ``pay_asset`` and ``pay`` name another and its amount. The ``fee``, which the player bears, is debited and not paid. A quote
    is for one type of rail: the intent then allows no other.
    """
    rail_types = method.rail_types if quote is None else (quote.fields["rail_type"],)
    intent = _intent(
        payout_id=payout_id,
        correlation_id=correlation_id,
        player=player,
        payee=None if assignment is None else assignment.payee,
        origin=origin,
        funding_account=None,
        asset=asset,
        debit=amount,
        pay_asset=asset if pay_asset is None else pay_asset,
        pay=amount - fee if pay is None else pay,
        quote=quote,
        ways=[
            Way(
                rail=rail_type,
                destination=method.address,
                commitment=method.commitment,
                memo=method.memo,
            )
            for rail_type in rail_types
        ],
        tools=tools,
        now=now,
    )
    return Payout(
        id=payout_id,
        player=player,
        asset=asset,
        amount=amount,
        correlation_id=correlation_id,
        state=PayoutState.REQUESTED,
        filed_by=filed_by,
        method_id=method.id,
        method_version=method.version,
        rail_types=rail_types,
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        campaign=origin.campaign,
        competition=origin.competition,
        source=origin.source,
        round_id=round_id,
        fee=fee,
        quote=None if quote is None else quote.document,
        pay_asset=pay_asset,
        pay=pay,
        version=1,
        credited_by=credited_by,
        retry_of=retry_of,
        inline=inline,
        payee=None if assignment is None else assignment.payee,
        assignment=None if assignment is None else assignment.id,
        assigners=() if assignment is None else assignment.assigners,
    )


def make_operator_payout(
    *,
    payout_id: UUID,
    account: FundingAccount,
    amount: int,
    ways: Sequence[Way],
    filed_by: str,
    credited_by: CreditParties,
    tools: PayoutTools,
    now: datetime,
    retry_of: Payout | None = None,
    reference: str | None = None,
    inline: InlineTerms | None = None,
    method_id: UUID | None = None,
    batch: BatchPlace | None = None,
) -> Payout:
    """Create a payout out of a funding account, with its signed intent, as version 1. It has no player and no campaign, and a
    method only where the request named the details of one (``inline``); its id is its correlation id, unless it retries another payout.
    """
    correlation_id = str(payout_id) if retry_of is None else retry_of.correlation_id
    intent = _intent(
        payout_id=payout_id,
        correlation_id=correlation_id,
        player=None,
        origin=NO_ORIGIN,
        funding_account=account.name,
        asset=account.asset,
        debit=amount,
        pay_asset=account.asset,
        pay=amount,
        ways=ways,
        tools=tools,
        now=now,
    )
    return Payout(
        id=payout_id,
        player=None,
        asset=account.asset,
        amount=amount,
        correlation_id=correlation_id,
        state=PayoutState.REQUESTED,
        filed_by=filed_by,
        method_id=method_id,
        method_version=None if method_id is None else INLINE_VERSION,
        rail_types=tuple(way.rail for way in ways),
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        funding_account=account.name,
        version=1,
        credited_by=credited_by,
        retry_of=None if retry_of is None else retry_of.id,
        reference=reference,
        inline=inline,
        batch=batch,
    )


def _intent(
    *,
    payout_id: UUID,
    correlation_id: str,
    player: str | None,
    origin: Origin,
    funding_account: str | None,
    asset: str,
    debit: int,
    pay_asset: str,
    pay: int,
    ways: Sequence[Way],
    quote: SignedQuote | None = None,
    payee: str | None = None,
    tools: PayoutTools,
    now: datetime,
) -> Intent:
    issued_at = int(now.timestamp())
    known = tools.assets[asset]
    pay_amount = Amount(tools.assets[pay_asset], pay).to_wire()
    return Intent(
        v=INTENT_VERSION,
        network=tools.network,
        payout_id=str(payout_id),
        correlation_id=correlation_id,
        player=player,
        payee=payee,
        campaign=str(origin.campaign) if origin.campaign else None,
        competition=origin.competition,
        source=origin.source,
        funding_account=funding_account,
        debit_asset=asset,
        debit_amount=Amount(known, debit).to_wire(),
        pay_asset=pay_asset,
        pay_amount=pay_amount,
        allowed=tuple(AllowedWay(**way._asdict(), amount_max=pay_amount) for way in ways),
        quote=None if quote is None else reference_of(quote.document),
        issued_at=issued_at,
        expires_at=issued_at + int(tools.intent_lifetime.total_seconds()),
        key_id=tools.signer.key_id,
    )


def intent_of(payout: Payout) -> Intent:
    """The intent in a payout's row, whether it is signed or not.

    Raises:
        KeyError, TypeError: the row holds something else.
    """
    allowed = tuple(AllowedWay(**one) for one in payout.intent["allowed"])
    quote = payout.intent["quote"]
    bound = None if quote is None else QuoteReference(**quote)
    return Intent(**{**payout.intent, "allowed": allowed, "quote": bound})
