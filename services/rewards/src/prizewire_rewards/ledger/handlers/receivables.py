"""Receivables of players: open them, undo them when their reason no longer exists, write them off. Credits recover them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.parties import PartyRole
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.parties import CreditParties
from prizewire_rewards.ledger.domain.receivables import (
    Receivable,
    WriteOff,
    open_debt,
    undo_debt,
    write_off_debt,
)
from prizewire_rewards.ledger.handlers.unit_of_work import UnitOfWork
from prizewire_rewards.ledger.ports import LedgerPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """A debt to be opened. The pool of ``campaign`` gets recovered money; None for the debt of a top-up. The id of the
    receivable follows from ``cause`` and player.
    """

    player: str
    asset: str
    amount: int
    campaign: UUID | None
    cause: str
    reference: str
    correlation_id: str


async def open_receivables(debts: Iterable[Debt], *, uow: UnitOfWork, ports: LedgerPorts) -> list[Receivable]:
    """Open a receivable for each debt; later credits of the player recover it. Posts the transfers that the unit of work
    holds.
    """
    opened = [
        Receivable(
            id=ids.receivable_id(cause=debt.cause, player=debt.player),
            player=debt.player,
            asset=debt.asset,
            campaign=debt.campaign,
            reference=debt.reference,
            amount=debt.amount,
            cause=debt.cause,
            correlation_id=debt.correlation_id,
            opened_at=uow.now,
            version=1,
        )
        for debt in debts
    ]
    for receivable in opened:
        uow.step_receivable(open_debt(receivable))
    await uow.post()
    await ports.receivables.add(opened)
    return opened


async def undo_receivable(receivable_id: UUID, *, amount: int, uow: UnitOfWork, ports: LedgerPorts) -> int:
    """Undo at most ``amount`` of a debt because its reason no longer exists. Returns the undone amount: it was never paid.
    The player has paid the rest of ``amount`` and gets it back from the caller. Posts the transfers that the unit of work
    holds.
    """
    found = (await ports.receivables.lock([receivable_id])).get(receivable_id)
    if found is None:
        return 0
    undone = min(amount, found.unpaid)
    if undone:
        steps = undo_debt(found, undone)
        for step in steps:
            uow.step_receivable(step)
        await uow.post()
        await ports.receivables.save([steps[-1].debt])
    return undone


async def write_off(command: WriteOff, *, ports: LedgerPorts, now: datetime) -> Receivable:
    """Write off the open amount of a receivable.

    Raises:
        NotFound: ``receivable_unknown``.
        InvalidRequest: ``own_receivable``: no one writes off their own debt; ``receivable_closed``: nothing is open.
    """
    found = (await ports.receivables.lock([command.receivable_id])).get(command.receivable_id)
    if found is None:
        raise NotFound("receivable_unknown", f"there is no receivable {command.receivable_id}")
    if found.player == command.actor:
        detail = f"{command.actor} owes receivable {found.id}: another approver has to write it off"
        raise InvalidRequest("own_receivable", detail)
    if not found.open:
        raise InvalidRequest("receivable_closed", f"receivable {found.id} has no open amount")
    uow = UnitOfWork(ports, now=now)
    step = write_off_debt(found)
    uow.step_receivable(step)
    await uow.post()
    await ports.receivables.save([step.debt])
    wallet = Account(Kind.WINNINGS, found.player, found.asset)
    await ports.parties.keep([(wallet, CreditParties(((PartyRole.RELEASER, command.actor),)))])
    await uow.save()
    return step.debt
