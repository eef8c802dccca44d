"""Handlers of funding accounts: admins create, fund and empty them; operators pay out of them."""

from datetime import datetime

from prizewire_contracts.parties import PartyRole
from prizewire_rewards.errors import InsufficientBalance, InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, Transfer
from prizewire_rewards.ledger.domain.records import (
    CreditParties,
    check_intake,
    check_reference,
    funding_source,
)
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.payouts.domain.commands import CreateFunding, MoveFunding, OperatorPayout
from prizewire_rewards.payouts.domain.funding import (
    FundingAccount,
    added_move,
    check_destination,
    withdrawn_move,
)
from prizewire_rewards.payouts.domain.model import Payout
from prizewire_rewards.payouts.handlers.requests import make_operator_payout, store_request
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools


async def create_funding(
    command: CreateFunding, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> FundingAccount:
    """Create an empty funding account in one asset.

    Raises:
        InvalidRequest: ``asset_unknown``, ``asset_not_redeemable`` or ``funding_exists``.
    """
    asset = tools.assets.get(command.asset)
    if asset is None:
        raise InvalidRequest("asset_unknown", tools.assets.refusal_of(command.asset))
    if not asset.redeemable:
        raise InvalidRequest("asset_not_redeemable", f"{asset.code} can never be paid out")
    account = FundingAccount(name=command.name, asset=asset.code)
    if not await ports.fundings.add(account, actor=command.actor, now=now):
        raise InvalidRequest("funding_exists", f"there is a funding account {command.name} already")
    return account


async def add_funding(
    command: MoveFunding, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> FundingAccount:
    """Book money that came in from outside.

    Raises:
        NotFound: ``funding_unknown``.
        InvalidRequest: ``amount_not_positive``, ``amount_too_large`` or ``reference_used``.
    """
    account = await _account(command.name, ports=ports)
    _positive(command.amount)
    intake = await ports.ledger.lock_intake(account.asset)
    asset = tools.assets[account.asset]
    check_intake(asset, intake=intake, amount=command.amount)
    move = added_move(account, amount=command.amount)
    earlier = await ports.ledger.earlier_funding(move.credit, reference=command.reference)
    repeats = check_reference(earlier, reference=command.reference, asset=asset, repeated=command.repeated)
    posted = await _move(command, move, ports=ports, now=now)
    await ports.ledger.document(
        posted, actor=command.actor, references=[command.reference], now=now, repeats=repeats
    )
    await ports.parties.add_source(funding_source(account.name), (PartyRole.FUNDER, command.actor))
    return account


async def withdraw_funding(
    command: MoveFunding, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> FundingAccount:
    """Book money that left without a payout.

    Raises:
        NotFound: ``funding_unknown``.
        InvalidRequest: ``amount_not_positive``.
        InsufficientBalance: the account holds less.
    """
    account = await _account(command.name, ports=ports)
    _positive(command.amount)
    await _covered(account, command.amount, ports=ports, tools=tools)
    await _move(command, withdrawn_move(account, amount=command.amount), ports=ports, now=now)
    return account


async def request_operator_payout(
    command: OperatorPayout, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> Payout:
    """Move money of a funding account into a payout request to an address in clear text, and send it to payouts.

    Raises:
        NotFound: ``funding_unknown``.
        InvalidRequest: ``address_invalid``, ``memo_too_long``, ``memo_not_possible``, ``amount_not_positive``,
            ``amount_below_minimum`` or ``amount_above_maximum``.
        InsufficientBalance: the account holds less.
    """
    check_destination(command.destination)
    account = await _account(command.funding_account, ports=ports)
    rule = tools.payout_rules.of_operator(account.asset)
    rule.check(tools.assets[account.asset], amount=command.amount, requested_today=0)
    await _covered(account, command.amount, ports=ports, tools=tools)
    payout = make_operator_payout(
        payout_id=command.id,
        account=account,
        amount=command.amount,
        destination=command.destination,
        filed_by=command.operator,
        credited_by=CreditParties(await ports.parties.of_source(funding_source(account.name))),
        tools=tools,
        now=now,
    )
    await store_request(payout, ports=ports, now=now)
    return payout


async def _account(name: str, *, ports: PayoutPorts) -> FundingAccount:
    account = await ports.fundings.get(name)
    if account is None:
        raise NotFound("funding_unknown", f"there is no funding account {name}")
    return account


def _positive(amount: int) -> None:
    if amount <= 0:
        raise InvalidRequest("amount_not_positive", "an amount above zero is needed")


async def _covered(account: FundingAccount, amount: int, *, ports: PayoutPorts, tools: PayoutTools) -> None:
    balance = await ports.ledger.lock_balance(Account(Kind.FUNDING, account.name, account.asset))
    if balance < amount:
        raise InsufficientBalance(
            asset=tools.assets[account.asset], balance=balance, amount=amount, of="account's funds"
        )


async def _move(command: MoveFunding, move: Move, *, ports: PayoutPorts, now: datetime) -> list[Transfer]:
    uow = UnitOfWork(ports, now=now)
    uow.bookings.append(Booking([move], cause=f"funding/{command.id}", correlation_id=str(command.id)))
    return await uow.post()
