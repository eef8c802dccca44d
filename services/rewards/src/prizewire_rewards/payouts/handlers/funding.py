"""Handlers of funding accounts: admins create, fund and empty them; operators pay out of them."""

from datetime import datetime

from prizewire_contracts import ids
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
    Destination,
    FundingAccount,
    added_move,
    check_destination,
    withdrawn_move,
)
from prizewire_rewards.payouts.domain.inline import InlineDestination, SealedDestination
from prizewire_rewards.payouts.domain.model import BatchPlace, Payout
from prizewire_rewards.payouts.handlers.requests import Way, make_operator_payout, store_request
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
    account = await account_of(command.name, ports=ports)
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
    account = await account_of(command.name, ports=ports)
    _positive(command.amount)
    await covered(account, command.amount, ports=ports, tools=tools)
    await _move(command, withdrawn_move(account, amount=command.amount), ports=ports, now=now)
    return account


async def request_operator_payout(
    command: OperatorPayout, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> Payout:
    """Move money of a funding account into a payout request, and send it to payouts.

    Raises:
        NotFound: ``funding_unknown``.
        InvalidRequest: ``address_invalid``, ``memo_too_long``, ``memo_not_possible``, ``amount_not_positive``,
            ``amount_below_minimum``, ``amount_above_maximum``, ``sealing_key_missing``, or ``reference_used``: the account has
            paid, or pays, another payout under this reference.
        InsufficientBalance: the account holds less.
    """
    account = await account_of(command.funding_account, ports=ports)
    check_terms(command.destination, command.amount, account=account, tools=tools)
    await covered(account, command.amount, ports=ports, tools=tools)
    if command.reference is not None:
        other = await ports.payouts.with_reference(command.reference, funding_account=account.name)
        if other is not None:
            raise InvalidRequest(
                "reference_used",
                f"payout {other} out of {account.name} has the reference {command.reference}: look at that one, or send another "
                "reference",
            )
    credited_by = CreditParties(await ports.parties.of_source(funding_source(account.name)))
    payout, sealed = operator_payout(command, account=account, credited_by=credited_by, tools=tools, now=now)
    await store_request(payout, ports=ports, now=now, sealed=sealed)
    return payout


def check_terms(
    destination: Destination | InlineDestination, amount: int, *, account: FundingAccount, tools: PayoutTools
) -> None:
    """Check the destination and the amount of an operator's payout by themselves.

    Raises:
        InvalidRequest: as ``request_operator_payout``, without ``reference_used``.
    """
    if isinstance(destination, Destination):
        check_destination(destination)
    rule = tools.payout_rules.of_operator(account.asset)
    rule.check(tools.assets[account.asset], amount=amount, requested_today=0)


def operator_payout(
    command: OperatorPayout,
    *,
    account: FundingAccount,
    credited_by: CreditParties,
    tools: PayoutTools,
    now: datetime,
    batch: BatchPlace | None = None,
) -> tuple[Payout, SealedDestination | None]:
    """The payout of a checked command, and the details of its destination where the command has them.

    Raises:
        InvalidRequest: ``sealing_key_missing``.
    """
    to = command.destination
    if isinstance(to, Destination):
        sealed, inline, method_id = None, None, None
        ways = [Way(rail=to.rail_type, destination=to.address, memo=to.memo)]
    else:
        sealed = tools.inline.seal(to, payout_id=command.id, now=now)
        inline, method_id = to.terms, ids.inline_method_id(command.id)
        ways = [
            Way(rail=rail_type, destination=to.address, commitment=sealed.commitment, memo=to.memo)
            for rail_type in to.rail_types
        ]
    payout = make_operator_payout(
        payout_id=command.id,
        account=account,
        amount=command.amount,
        ways=ways,
        filed_by=command.operator,
        credited_by=credited_by,
        reference=command.reference,
        inline=inline,
        method_id=method_id,
        batch=batch,
        tools=tools,
        now=now,
    )
    return payout, sealed


async def account_of(name: str, *, ports: PayoutPorts) -> FundingAccount:
    """The funding account of this name.

    Raises:
        NotFound: ``funding_unknown``.
    """
    account = await ports.fundings.get(name)
    if account is None:
        raise NotFound("funding_unknown", f"there is no funding account {name}")
    return account


def _positive(amount: int) -> None:
    if amount <= 0:
        raise InvalidRequest("amount_not_positive", "an amount above zero is needed")


async def covered(account: FundingAccount, amount: int, *, ports: PayoutPorts, tools: PayoutTools) -> None:
    """Lock the account's money, and check that it covers the amount.

    Raises:
        InsufficientBalance: it does not.
    """
    balance = await ports.ledger.lock_balance(Account(Kind.FUNDING, account.name, account.asset))
    if balance < amount:
        raise InsufficientBalance(
            asset=tools.assets[account.asset], balance=balance, amount=amount, of="account's funds"
        )


async def _move(command: MoveFunding, move: Move, *, ports: PayoutPorts, now: datetime) -> list[Transfer]:
    uow = UnitOfWork(ports, now=now)
    uow.bookings.append(Booking([move], cause=f"funding/{command.id}", correlation_id=str(command.id)))
    return await uow.post()
