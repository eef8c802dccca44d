"""What one transaction records in the ledger, and how receivables and parties are decided."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.parties import Party as ContractParty
from prizewire_contracts.parties import PartyRole, one_person
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, Transfer
from prizewire_rewards.ledger.domain.receivables import (
    Receivable,
    ReceivableStep,
    WriteOff,
    open_debt,
    recover,
    undo_debt,
    write_off_debt,
)
from prizewire_rewards.ledger.domain.records import (
    NO_PARTIES,
    PAYS_DEBTS,
    Credit,
    CreditParties,
    Event,
    Party,
    Transition,
)
from prizewire_rewards.ledger.ports import LedgerPorts

_TYPE = attrgetter("type")


class Credited(NamedTuple):
    """A credit to a wallet, its cause, and its parties."""

    credit: Credit
    cause: str
    credited_by: CreditParties


class Remainder(NamedTuple):
    """The amount (minor units) that a credit leaves in its wallet after debts were recovered from it."""

    credited: Credited
    amount: int


@dataclass(frozen=True, slots=True)
class Booking:
    """The moves of one cause, which are booked as one group. ``credited_by`` are the parties of what the moves credit to
    wallets. The ids of the ``transfers``, one for each move, are the same at every repetition.
    """

    moves: Sequence[Move]
    _: KW_ONLY
    cause: str
    correlation_id: str
    credited_by: CreditParties = NO_PARTIES
    transfers: Sequence[Transfer] = field(init=False)

    def __post_init__(self) -> None:
        transfers: list[Transfer] = []
        for type_, run in groupby(self.moves, key=_TYPE):
            alike = list(run)
            added = ids.transfer_ids(cause=f"{self.cause}/{type_}", indexes=[move.ordinal for move in alike])
            transfers += [
                Transfer(transfer_id, type_, debit, credit, amount, self.cause, self.correlation_id)
                for transfer_id, (_, debit, credit, amount, _) in zip(added, alike, strict=True)
            ]
        object.__setattr__(self, "transfers", transfers)

    @property
    def credits(self) -> list[Credited]:
        """The credits to wallets from which debts are recovered."""
        return [
            Credited(Credit(move.credit, move.amount, move.ordinal), self.cause, self.credited_by)
            for move in self.moves
            if move.credit.kind in PAYS_DEBTS
        ]


class UnitOfWork:
    """Transfers, transitions of state machines and events of one transaction.

    Handlers decide over loaded state and append their decisions to ``bookings``, ``transitions`` and
    ``events``. Each feature saves its own rows. ``save`` posts the transfers, recovers debts from the credits, and stores
    transitions and events.
    """

    def __init__(self, ports: LedgerPorts, *, now: datetime) -> None:
        self.now = now
        self.recoveries = 0
        """Number of credits from which a debt was recovered."""
        self.bookings: list[Booking] = []
        """Not posted yet."""
        self.transitions: list[Transition] = []
        self.events: list[Event] = []
        """Published in this order."""
        self._ports = ports
        self._credits: list[Credited] = []

    @property
    def credits(self) -> list[Credited]:
        """Credits to wallets whose debts were not recovered yet."""
        return [*self._credits, *(one for booking in self.bookings for one in booking.credits)]

    def step_receivable(self, step: ReceivableStep) -> None:
        """Add the transfers and the event of one change of a debt."""
        debt = step.debt
        self.bookings.append(Booking(step.moves, cause=debt.step_cause, correlation_id=debt.correlation_id))
        self.events.append(step.event)

    async def post(self) -> list[Transfer]:
        """Post the transfers of the bookings that were added since the last call. Returns them.

        Posting locks the wallets. So a debt that another transaction opens at the same time is either visible to
        ``recover_debts``, or that transaction sees the credit.
        """
        self._credits = self.credits
        posted = [transfer for booking in self.bookings for transfer in booking.transfers]
        self.bookings = []
        if posted:
            await self._ports.ledger.post(posted, now=self.now)
        return posted

    async def recover_debts(self, *, leaving: Container[tuple[str, int]] = ()) -> list[Remainder]:
        """Recover debts from the credits since the last call, the oldest debt first. Store the parties of the credits.

        Money recovered from winnings goes back to the pool of the debt's campaign. ``leaving`` are the credits, by cause
        and ordinal, that are paid out in the same transaction: the wallet stores no parties of them.
        """
        await self.post()
        credited, self._credits = self._credits, []
        if not credited:
            return []
        debts = await self._ports.receivables.lock_open({one.credit.account for one in credited})
        await self._ports.parties.keep(
            [
                (one.credit.account, one.credited_by)
                for one in credited
                if one.credit.account.kind is Kind.WINNINGS and (one.cause, one.credit.ordinal) not in leaving
            ]
        )
        if not debts:
            return [Remainder(one, one.credit.amount) for one in credited]
        remainders: list[Remainder] = []
        to_pools: dict[UUID, int] = {}
        changed: dict[UUID, Receivable] = {}
        for one in credited:
            account, amount, _ = one.credit
            owed = debts.get((account.owner, account.asset), [])
            steps = recover(owed, bucket=account.kind, amount=amount)
            for step in steps:
                amount -= step.amount
                changed[step.debt.id] = step.debt
                self.step_receivable(step)
                if step.debt.campaign is not None:
                    to_pools[step.debt.campaign] = to_pools.get(step.debt.campaign, 0) + step.amount
            debts[account.owner, account.asset] = [changed.get(debt.id, debt) for debt in owed]
            self.recoveries += bool(steps)
            remainders.append(Remainder(one, amount))
        await self.post()
        if changed:
            await self._ports.receivables.save(list(changed.values()))
        if to_pools:
            # This breaks the order of locks (campaigns, then accounts), because debts are known for certain only under
            # the lock of their wallets. On a deadlock the database aborts one transaction, and it is retried.
            await self._ports.pools.take_back(to_pools)
        return remainders

    async def save(self) -> None:
        """Post, recover debts, and store the transitions and events that were added."""
        await self.recover_debts()
        transitions, self.transitions = self.transitions, []
        if transitions:
            await self._ports.history.add(transitions, now=self.now)
        events, self.events = self.events, []
        if events:
            await self._ports.messages.publish(events)


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


def credit_parties(deciders: Iterable[Party], *, others: Iterable[Party] = ()) -> CreditParties:
    """The parties of an amount. ``deciders`` decided who gets it; ``others`` are parties who did not decide that."""
    deciders = list(deciders)
    alone = one_person(ContractParty(PartyRole(role), subject) for role, subject in deciders)
    return CreditParties((*deciders, *others), () if alone is None else (alone,))
