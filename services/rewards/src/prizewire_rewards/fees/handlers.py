"""Withdrawals of fees: filed by one person, approved or rejected by another."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_money import Asset
from prizewire_rewards.errors import InsufficientBalance, InvalidRequest, NotFound
from prizewire_rewards.fees.domain import FeeWithdrawal, WithdrawalState, decided, withdrawal_move
from prizewire_rewards.fees.ports import FeePorts
from prizewire_rewards.ledger.domain.records import check_reference
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork
from prizewire_rewards.ledger.ports import Tools


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideFees:
    """A person's decision about a withdrawal."""

    id: UUID
    approved: bool
    actor: str
    reason: str | None


async def file_withdrawal(
    withdrawal: FeeWithdrawal, *, repeated: bool, ports: FeePorts, tools: Tools
) -> FeeWithdrawal:
    """File a withdrawal of fees. Nothing moves before another person approves.

    ``repeated``: the filer confirms that this is another transfer under a used reference.

    Raises:
        InvalidRequest: ``asset_unknown``, ``asset_not_redeemable``, ``amount_not_positive`` or ``reference_used``: a
            withdrawal of the same fees under this reference is filed or approved.
        InsufficientBalance: the fees do not cover the amount.
    """
    asset = tools.assets.get(withdrawal.asset)
    if asset is None:
        raise InvalidRequest("asset_unknown", tools.assets.refusal_of(withdrawal.asset))
    if not asset.redeemable:
        raise InvalidRequest(
            "asset_not_redeemable", f"{asset.code} is not redeemable, so it cannot be withdrawn"
        )
    if withdrawal.amount <= 0:
        raise InvalidRequest("amount_not_positive", "the amount must be above zero")
    await _covered(withdrawal, asset=asset, ports=ports)
    # The lock of the balance prevents that another withdrawal of these fees is filed at the same time.
    earlier = await ports.fees.earlier(withdrawal)
    repeats = check_reference(earlier, reference=withdrawal.reference, asset=asset, repeated=repeated)
    filed = replace(withdrawal, repeats=repeats)
    await ports.fees.add(filed)
    return filed


async def decide_withdrawal(
    command: DecideFees, *, ports: FeePorts, tools: Tools, now: datetime
) -> FeeWithdrawal:
    """Approve a withdrawal, which moves the money, or reject it. The filer may reject it, and may not approve it.

    Raises:
        NotFound: ``fee_withdrawal_unknown``.
        InvalidRequest: ``fee_withdrawal_final`` or ``own_fee_withdrawal``.
        InsufficientBalance: the fees no longer cover the amount.
    """
    filed = await ports.fees.lock(command.id)
    if filed is None:
        raise NotFound("fee_withdrawal_unknown", f"there is no withdrawal of fees {command.id}")
    after = decided(filed, approved=command.approved, by=command.actor, reason=command.reason, now=now)
    if after.state is WithdrawalState.APPROVED:
        await _covered(after, asset=tools.assets[after.asset], ports=ports)
        uow = UnitOfWork(ports, now=now)
        uow.bookings.append(
            Booking(
                [withdrawal_move(after)], cause=f"fee-withdrawal/{after.id}", correlation_id=str(after.id)
            )
        )
        await uow.post()
    await ports.fees.decide(after)
    return after


async def _covered(withdrawal: FeeWithdrawal, *, asset: Asset, ports: FeePorts) -> None:
    balance = await ports.fees.lock_balance(withdrawal.source, withdrawal.asset)
    if balance < withdrawal.amount:
        raise InsufficientBalance(
            asset=asset, balance=balance, amount=withdrawal.amount, of=withdrawal.source.label
        )
