"""Open and undo receivables, each in a unit of work of its own."""

from datetime import datetime
from uuid import UUID

from prizewire_rewards.ledger.domain.receivables import Receivable
from prizewire_rewards.ledger.handlers import Debt, UnitOfWork, open_receivables, undo_receivable
from prizewire_rewards.ledger.ports import LedgerPorts

ARTIFICIAL = "test"
"""The reference of debts that have no reason."""


async def open_receivable(
    *,
    player: str,
    asset: str,
    amount: int,
    campaign: UUID | None,
    cause: str,
    reference: str,
    correlation_id: str,
    ports: LedgerPorts,
    now: datetime,
) -> Receivable:
    uow = UnitOfWork(ports, now=now)
    debt = Debt(
        player=player,
        asset=asset,
        amount=amount,
        campaign=campaign,
        cause=cause,
        reference=reference,
        correlation_id=correlation_id,
    )
    [opened] = await open_receivables([debt], uow=uow, ports=ports)
    await uow.save()
    return opened


async def lift_receivable(receivable_id: UUID, *, amount: int, ports: LedgerPorts, now: datetime) -> int:
    uow = UnitOfWork(ports, now=now)
    undone = await undo_receivable(receivable_id, amount=amount, uow=uow, ports=ports)
    await uow.save()
    return undone
