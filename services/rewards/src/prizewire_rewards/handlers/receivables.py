"""What players owe: opened where money that was spent has to go back, lifted where its reason is gone."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.domain.ledger import Account, Kind, Move, TransferType
from prizewire_rewards.handlers.journal import Journal
from prizewire_rewards.ports import Work

__all__ = ["Receivable", "lift_receivable", "open_receivable"]

CLEARING = "receivables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivable:
    """One debt of one player. ``campaign`` is whose pool it goes back to, None where it is owed for a top-up."""

    id: UUID
    player: str
    asset: str
    campaign: UUID | None
    reference: str
    amount: int
    cause: str
    correlation_id: str
    opened_at: datetime


async def open_receivable(
    *,
    player: str,
    asset: str,
    amount: int,
    campaign: UUID | None,
    cause: str,
    reference: str,
    correlation_id: str,
    work: Work,
    now: datetime,
) -> Receivable:
    """A player owes ``amount`` (minor units) from now on; their later winnings are netted against it."""
    journal = Journal()
    move = Move(
        TransferType.RECEIVABLE_OPENED,
        Account(Kind.RECEIVABLE, player, asset),
        Account(Kind.CLEARING, CLEARING, asset),
        amount,
    )
    journal.add([move], cause=cause, correlation_id=correlation_id)
    await work.ledger.post(journal.transfers, now=now)
    return Receivable(
        id=ids.receivable_id(cause=cause, player=player),
        player=player,
        asset=asset,
        campaign=campaign,
        reference=reference,
        amount=amount,
        cause=cause,
        correlation_id=correlation_id,
        opened_at=now,
    )


async def lift_receivable(
    receivable_id: UUID,
    *,
    player: str,
    asset: str,
    amount: int,
    cause: str,
    correlation_id: str,
    work: Work,
    now: datetime,
) -> int:
    """What is no longer owed, since its reason went away: lifts at most ``amount`` of what is still open, and answers
    how much that was. Nothing comes into a wallet by it.
    """
    del receivable_id  # a player's debts in an asset are one balance
    debt = Account(Kind.RECEIVABLE, player, asset)
    lifted = min(amount, -(await work.ledger.lock_balance(debt)))
    if lifted <= 0:
        return 0
    journal = Journal()
    move = Move(TransferType.RECEIVABLE_SETTLED, Account(Kind.CLEARING, CLEARING, asset), debt, lifted)
    journal.add([move], cause=cause, correlation_id=correlation_id)
    await work.ledger.post(journal.transfers, now=now)
    return lifted
