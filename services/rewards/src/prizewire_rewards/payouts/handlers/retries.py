"""Retries: an operator has the money of an ended payout paid again, by a new payout."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.codes import RetryRefusal
from prizewire_rewards.errors import InsufficientBalance, InvalidRequest, Refused
from prizewire_rewards.ledger.domain.records import CreditParties, funding_source
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.payouts.domain.commands import RetryPayout
from prizewire_rewards.payouts.domain.funding import FundingAccount
from prizewire_rewards.payouts.domain.model import RETRYABLE, Method, Payout, PayoutRetryRefused
from prizewire_rewards.payouts.domain.rules import came_back, source_of
from prizewire_rewards.payouts.handlers.requests import (
    Way,
    intent_of,
    make_operator_payout,
    make_payout,
    store_request,
)
from prizewire_rewards.payouts.handlers.terms import assignment_of, method_of
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools

FILED = "filed"
"""The outcome of a retry for which a new payout was filed; every other outcome is a ``RetryRefusal``."""


def check_retryable(payout: Payout | None, command: RetryPayout) -> Payout:
    """The payout, once it has ended here too.

    Raises:
        Refused: ``event_mismatch``: it was never requested, or its money did not come back.
    """
    if payout is None:
        raise Refused("event_mismatch", f"payout {command.payout_id} was never requested")
    if payout.state not in RETRYABLE:
        raise Refused(
            "event_mismatch",
            f"payout {payout.id} is {payout.state}: its money did not come back to be retried",
        )
    return payout


async def retry_payouts(
    retries: Sequence[tuple[RetryPayout, Payout]], *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> list[str]:
    """File a new payout for each of these locked payouts, or refuse it with an event. The give-backs of the batch are booked
    before. Returns the outcome of each.
    """
    outcomes: list[str] = []
    latest: dict[UUID, Payout] = {}
    for command, locked in retries:
        payout = latest.get(locked.id, locked)
        try:
            await _file(command, payout, ports=ports, tools=tools, now=now)
        except (InvalidRequest, InsufficientBalance) as error:
            code = RetryRefusal(error.code)
            latest[payout.id] = refused = replace(payout, version=payout.version + 1)
            await _refuse(command, refused, code, error.detail, ports=ports, now=now)
            outcomes.append(code)
        else:
            outcomes.append(FILED)
    return outcomes


async def _file(
    command: RetryPayout, payout: Payout, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> None:
    """File the new payout. Nothing is written before all checks have passed.

    Raises:
        InvalidRequest, InsufficientBalance: the code is a ``RetryRefusal``.
    """
    retry_id = ids.payout_id_for_retry(payout.id)
    if await ports.payouts.lock([retry_id]):
        raise InvalidRequest(
            RetryRefusal.ALREADY_RETRIED, f"payout {retry_id} retries payout {payout.id}: retry that one"
        )
    if payout.player is None:
        retried = await _of_account(command, payout, ports=ports, tools=tools, now=now)
    else:
        retried = await _of_player(command, payout, payout.player, ports=ports, tools=tools, now=now)
    await store_request(retried, ports=ports, now=now, reward_ids=_rewards_of(payout), cause=command.cause)


def _rewards_of(payout: Payout) -> tuple[UUID, ...]:
    """The prize that a direct payout pays."""
    if payout.player is None or payout.round_id is None:
        return ()
    return (ids.reward_id(round_id=payout.round_id, player=payout.player),)


async def _of_player(
    command: RetryPayout,
    payout: Payout,
    player: str,
    *,
    ports: PayoutPorts,
    tools: PayoutTools,
    now: datetime,
) -> Payout:
    if payout.exchanged:
        raise InvalidRequest(
            RetryRefusal.QUOTE_REQUIRED,
            f"payout {payout.id} was paid in {payout.paid_asset} at a quote: the player requests it again at a new quote",
        )
    assignment = await assignment_of(player, ports=ports, now=now)
    again = assignment is None and payout.inline is not None and command.method_id in (None, payout.method_id)
    method = (
        _inline_method(payout, player, tools=tools)
        if again
        else await method_of(player=player, assignment=assignment, method_id=command.method_id, ports=ports)
    )
    amount, fee = came_back(payout)
    whole = await _covered(payout, amount, ports=ports, tools=tools) == amount
    return make_payout(
        payout_id=ids.payout_id_for_retry(payout.id),
        player=player,
        assignment=assignment,
        method=method,
        asset=payout.asset,
        amount=amount,
        correlation_id=payout.correlation_id,
        filed_by=command.by,
        origin=payout.origin,
        round_id=payout.round_id,
        fee=fee,
        credited_by=await ports.parties.take(source_of(payout), whole=whole),
        retry_of=payout.id,
        inline=payout.inline if again else None,
        tools=tools,
        now=now,
    )


def _inline_method(payout: Payout, player: str, *, tools: PayoutTools) -> Method:
    """The method of a payout whose request named the details: payouts has it. Its ways are those of the verified intent."""
    assert payout.inline is not None
    assert payout.method_id is not None
    assert payout.method_version is not None
    way = _ways_of(payout, tools=tools)[0]
    return Method(
        id=payout.method_id,
        version=payout.method_version,
        player=player,
        type=payout.inline.type,
        rail_types=payout.rail_types,
        active=True,
        verified=False,
        is_default=False,
        address=way.destination,
        memo=way.memo,
        commitment=way.commitment,
    )


def _ways_of(payout: Payout, *, tools: PayoutTools) -> list[Way]:
    """The ways of the stored intent. It is verified first, since a row could name other ones.

    Raises:
        InvalidRequest: ``intent_invalid``.
    """
    problem = tools.intents.problem_of(payout)
    if problem is not None:
        raise InvalidRequest(
            RetryRefusal.INTENT_INVALID,
            f"the stored intent of payout {payout.id} is not used again: {problem}",
        )
    return [
        Way(rail=way.rail, destination=way.destination, commitment=way.commitment, memo=way.memo)
        for way in intent_of(payout).allowed
    ]


async def _of_account(
    command: RetryPayout, payout: Payout, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> Payout:
    """An operator's payout goes to the same destination."""
    if command.method_id not in (None, payout.method_id):
        raise InvalidRequest(
            RetryRefusal.METHOD_UNKNOWN, "a payout out of a funding account goes to its own destination again"
        )
    ways = _ways_of(payout, tools=tools)
    amount, _ = came_back(payout)
    await _covered(payout, amount, ports=ports, tools=tools)
    account = FundingAccount(name=payout.funding_account or "", asset=payout.asset)
    return make_operator_payout(
        payout_id=ids.payout_id_for_retry(payout.id),
        account=account,
        amount=amount,
        ways=ways,
        filed_by=command.by,
        credited_by=CreditParties(await ports.parties.of_source(funding_source(account.name))),
        retry_of=payout,
        reference=payout.reference,
        inline=payout.inline,
        method_id=payout.method_id,
        tools=tools,
        now=now,
    )


async def _covered(payout: Payout, amount: int, *, ports: PayoutPorts, tools: PayoutTools) -> int:
    """The balance of the wallet or account that the money came back to, locked.

    Raises:
        InsufficientBalance: it is less than the amount: some of the money was spent, or a debt was taken from it.
    """
    balance = await ports.ledger.lock_balance(source_of(payout))
    if balance < amount:
        of = "account's funds" if payout.player is None else "winnings"
        raise InsufficientBalance(asset=tools.assets[payout.asset], balance=balance, amount=amount, of=of)
    return balance


async def _refuse(
    command: RetryPayout,
    payout: Payout,
    code: RetryRefusal,
    detail: str,
    *,
    ports: PayoutPorts,
    now: datetime,
) -> None:
    await ports.payouts.save([payout], now=now)
    uow = UnitOfWork(ports, now=now)
    uow.events.append(
        PayoutRetryRefused(
            payout=payout, retry_no=command.retry_no, code=code, detail=detail, cause=command.cause
        )
    )
    await uow.save()
