"""What players owe: opened, netted from their credits, lifted when its reason is gone, written off by an approver."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.parties import PartyRole
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move
from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.ledger.domain.parties import Behind
from prizewire_rewards.ledger.domain.receivables import (
    OwedStep,
    Receivable,
    ReceivableChanged,
    WriteOff,
    lifted_move,
    opened_move,
    pays,
    recovery_moves,
    restored_move,
    written_off_move,
)
from prizewire_rewards.ledger.handlers.journal import Journal
from prizewire_rewards.ledger.ports import LedgerPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """A debt that is to be opened. ``campaign`` is whose pool gets it back, None for a top-up's; ``cause`` and player
    make its id.
    """

    player: str
    asset: str
    amount: int
    campaign: UUID | None
    cause: str
    reference: str
    correlation_id: str


async def open_receivables(debts: Iterable[Debt], *, ports: LedgerPorts, now: datetime) -> list[Receivable]:
    """Let players owe what could not be taken back from them; their next credits are taken for it."""
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
            opened_at=now,
            version=1,
        )
        for debt in debts
    ]
    journal = Journal()
    for receivable in opened:
        _write(journal, receivable, [opened_move(receivable)])
    await ports.ledger.post(journal.transfers, now=now)
    await ports.receivables.add(opened)
    await ports.messages.publish(
        [ReceivableChanged(receivable=one, what=OwedStep.OPENED, amount=one.amount) for one in opened]
    )
    return opened


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
    """Let one player owe ``amount`` (minor units above zero); see ``open_receivables``."""
    debt = Debt(
        player=player,
        asset=asset,
        amount=amount,
        campaign=campaign,
        cause=cause,
        reference=reference,
        correlation_id=correlation_id,
    )
    [opened] = await open_receivables([debt], ports=ports, now=now)
    return opened


async def lift_receivable(receivable_id: UUID, *, amount: int, ports: LedgerPorts, now: datetime) -> int:
    """Undo a debt, at most by ``amount``, because its reason is gone; answers how much of it was never paid and is
    undone. What remains of ``amount`` the player has paid, and is to get back.
    """
    found = (await ports.receivables.lock([receivable_id])).get(receivable_id)
    if found is None:
        return 0
    undone = min(amount, found.unpaid)
    if undone:
        steps = take_less(found, undone)
        journal = Journal()
        for step in steps:
            _write(journal, step.debt, [step.move])
        await ports.ledger.post(journal.transfers, now=now)
        await ports.receivables.save([steps[-1].debt])
        await ports.messages.publish([step.event for step in steps])
    return undone


async def write_off(command: WriteOff, *, ports: LedgerPorts, now: datetime) -> Receivable:
    """Give up what is still open of a debt.

    Raises:
        NotFound: ``receivable_unknown``.
        InvalidRequest: ``own_receivable``: nobody gives up their own; ``receivable_closed``: nothing is open.
    """
    found = (await ports.receivables.lock([command.receivable_id])).get(command.receivable_id)
    if found is None:
        raise NotFound("receivable_unknown", f"there is no receivable {command.receivable_id}")
    if found.player == command.actor:
        raise InvalidRequest("own_receivable", "nobody gives up what they owe themselves")
    amount = found.open
    if not amount:
        raise InvalidRequest("receivable_closed", "nothing of it is owed any more")
    given_up = replace(found, written_off=found.written_off + amount, version=found.version + 1)
    journal = Journal()
    _write(journal, given_up, [written_off_move(given_up, amount=amount)])
    await ports.ledger.post(journal.transfers, now=now)
    await ports.receivables.save([given_up])
    wallet = Account(Kind.WINNINGS, given_up.player, given_up.asset)
    await ports.parties.keep([(wallet, Behind(((PartyRole.RELEASER, command.actor),)))])
    await ports.messages.publish(
        [ReceivableChanged(receivable=given_up, what=OwedStep.WRITTEN_OFF, amount=amount)]
    )
    return given_up


class LessOwed(NamedTuple):
    """One step by which a debt was undone: the debt after it, what it moves, and what is told of it."""

    debt: Receivable
    move: Move
    event: Event


def take_less(debt: Receivable, amount: int) -> list[LessOwed]:
    """Undo ``amount`` of what was never paid of a debt, in at most two steps: what is still owed is lifted first, then
    what was given up is restored to the platform, which would else bear it twice.
    """
    steps = []
    lifted = min(amount, debt.open)
    if lifted:
        debt = replace(debt, lifted=debt.lifted + lifted, version=debt.version + 1)
        event = ReceivableChanged(receivable=debt, what=OwedStep.RECOVERED, amount=lifted)
        steps.append(LessOwed(debt, lifted_move(debt, amount=lifted), event))
    restored = amount - lifted
    if restored:
        debt = replace(debt, restored=debt.restored + restored, version=debt.version + 1)
        event = ReceivableChanged(receivable=debt, what=OwedStep.RESTORED, amount=restored)
        steps.append(LessOwed(debt, restored_move(debt, amount=restored), event))
    return steps


class Netting:
    """Takes what players owe from their credits, the oldest debt first. A credit to winnings pays every debt, one to
    top-ups only debts of top-ups.
    """

    def __init__(self, debts: Mapping[tuple[str, str], Sequence[Receivable]]) -> None:
        self._debts = {key: list(found) for key, found in debts.items()}
        self._changed: dict[UUID, Receivable] = {}
        self._back: dict[UUID, int] = {}
        self._events: list[Event] = []

    def take(self, account: Account, amount: int, *, journal: Journal) -> int:
        """Take from a credit what its owner owes; answers how much that was."""
        left = amount
        debts = self._debts.get((account.owner, account.asset), [])
        for place, debt in enumerate(debts):
            taken = min(left, debt.open) if pays(account.kind, debt) else 0
            if not taken:
                continue
            left -= taken
            less = replace(debt, recovered=debt.recovered + taken, version=debt.version + 1)
            debts[place] = less
            self._changed[less.id] = less
            if less.campaign is not None:
                self._back[less.campaign] = self._back.get(less.campaign, 0) + taken
            _write(journal, less, recovery_moves(less, bucket=account.kind, amount=taken))
            self._events.append(ReceivableChanged(receivable=less, what=OwedStep.RECOVERED, amount=taken))
        return amount - left

    async def save(self, *, ports: LedgerPorts) -> None:
        """Store and tell what was taken, once it is posted."""
        if not self._changed:
            return
        await ports.receivables.save(list(self._changed.values()))
        if self._back:
            # Against the order of locks (campaigns, then accounts), for whose debts there are is known for certain only
            # under the lock of their wallets: where two cross, the database ends one of them, and it is tried again.
            await ports.pools.take_back(self._back)
        await ports.messages.publish(self._events)


def _write(journal: Journal, receivable: Receivable, moves: list[Move]) -> None:
    cause = f"receivable/{receivable.id}/{receivable.version}"
    journal.add(moves, cause=cause, correlation_id=receivable.correlation_id)
