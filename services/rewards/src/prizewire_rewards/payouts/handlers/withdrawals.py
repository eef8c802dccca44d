"""Automatic withdrawals: set, remove, and request the payouts that are due."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from prizewire_contracts import ids
from prizewire_rewards.errors import InvalidRequest, NotFound, RewardsError
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.payouts.domain.commands import RequestPayout, SetWithdrawal
from prizewire_rewards.payouts.domain.withdrawals import AutoWithdrawal, day_of, next_day, next_due
from prizewire_rewards.payouts.handlers.requests import AUTO_WITHDRAWAL, request_payout
from prizewire_rewards.payouts.handlers.terms import assignment_of, unknown_method
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools

BELOW_MINIMUM: Final = "below_minimum"


@dataclass(frozen=True, slots=True)
class WithdrawalAttempt:
    """The result of one due withdrawal. ``code`` says why no payout was requested, None where one was."""

    withdrawal: AutoWithdrawal
    code: str | None


async def set_withdrawal(
    command: SetWithdrawal, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> AutoWithdrawal:
    """Set a player's automatic withdrawal in an asset; it replaces an earlier one. A schedule begins with its next time.

    Raises:
        InvalidRequest: ``asset_unknown``, ``asset_not_redeemable``, ``amount_not_positive`` or ``method_unknown``.
    """
    asset = tools.assets.get(command.asset)
    if asset is None:
        raise InvalidRequest("asset_unknown", tools.assets.refusal_of(command.asset))
    if not asset.redeemable:
        raise InvalidRequest("asset_not_redeemable", f"{asset.code} can never be paid out")
    if command.threshold is not None and command.threshold <= 0:
        raise InvalidRequest("amount_not_positive", "a threshold above zero is needed")
    if command.method_id is not None:
        assignment = await assignment_of(command.player, ports=ports, now=now)
        person = command.player if assignment is None else assignment.payee
        method = await ports.methods.get(command.method_id)
        if method is None or method.player != person or not method.active:
            raise InvalidRequest("method_unknown", unknown_method(command.method_id, assignment=assignment))
    known = await ports.withdrawals.lock(player=command.player, asset=asset.code)
    withdrawal = AutoWithdrawal(
        player=command.player,
        asset=asset.code,
        threshold=command.threshold,
        schedule=command.schedule,
        hour_utc=command.hour_utc,
        minimum=command.minimum,
        method_id=command.method_id,
        next_at=now
        if command.schedule is None
        else next_due(command.schedule, hour_utc=command.hour_utc, after=now),
        attempts=0 if known is None else known.attempts,
        last_payout=None if known is None else known.last_payout,
    )
    await ports.withdrawals.save(withdrawal, now=now)
    return withdrawal


async def remove_withdrawal(*, player: str, asset: str, ports: PayoutPorts) -> None:
    """Remove an automatic withdrawal.

    Raises:
        NotFound: ``withdrawal_unknown``.
    """
    if not await ports.withdrawals.remove(player=player, asset=asset):
        raise NotFound("withdrawal_unknown", f"there is no automatic withdrawal in {asset}")


async def withdraw_next(*, ports: PayoutPorts, tools: PayoutTools, now: datetime) -> WithdrawalAttempt | None:
    """Request the payout of one due withdrawal, with the same checks as a player's own request; None when none is due.

    The same transaction stores the next due time, also after a failure: a scheduled time is tried once, and a failed
    threshold is tried again on the next day (UTC). The payout's id follows from player, asset, due time and the count of
    attempts.
    """
    withdrawal = await ports.withdrawals.lock_due(now=now)
    if withdrawal is None:
        return None
    tried = replace(withdrawal, attempts=withdrawal.attempts + 1)
    try:
        tried, code = await _request(tried, ports=ports, tools=tools, now=now)
    except RewardsError as error:
        code = error.code
    if tried.schedule is not None:
        upcoming = next_due(tried.schedule, hour_utc=tried.hour_utc, after=now)
    else:
        upcoming = now if code is None else next_day(after=now)
    tried = replace(tried, next_at=upcoming, note=code, noted_at=None if code is None else now)
    await ports.withdrawals.save(tried, now=now)
    return WithdrawalAttempt(tried, code)


async def _request(
    withdrawal: AutoWithdrawal, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> tuple[AutoWithdrawal, str | None]:
    """Request as much as the rule of the asset allows. Raises before anything is written."""
    balance = await ports.ledger.lock_balance(Account(Kind.WINNINGS, withdrawal.player, withdrawal.asset))
    if balance == 0 or balance < withdrawal.minimum:
        return withdrawal, BELOW_MINIMUM
    rule = tools.payout_rules.of_player(withdrawal.asset)
    requested = 0
    if rule.daily_limit is not None:
        requested = await ports.payouts.requested_since(
            player=withdrawal.player, asset=withdrawal.asset, since=day_of(now)
        )
    amount = rule.most(balance=balance, requested_today=requested)
    if not amount:
        raise InvalidRequest("daily_limit_exceeded", f"the daily limit in {withdrawal.asset} is used up")
    command = RequestPayout(
        id=ids.derive(
            "auto-withdrawal",
            withdrawal.player,
            withdrawal.asset,
            withdrawal.next_at.isoformat(),
            withdrawal.attempts,
        ),
        player=withdrawal.player,
        asset=withdrawal.asset,
        amount=amount,
        method_id=withdrawal.method_id,
        filed_by=AUTO_WITHDRAWAL,
    )
    payout = await request_payout(command, ports=ports, tools=tools, now=now)
    return replace(withdrawal, last_payout=payout.id), None
