"""What players owe, and the moves by which it is opened, recovered, lifted or written off."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.ledger.domain.moves import PLATFORM, RECEIVABLES, WORLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivable:
    """What a player owes. ``campaign`` is whose pool gets it back; None where it is owed for a top-up, then it goes
    outside. ``reference`` names the round or top-up. ``recovered`` was taken from credits, ``written_off`` was given
    up, ``lifted`` is owed no more because its reason is gone, and ``restored`` is what of ``written_off`` is the
    platform's loss no more for the same reason. ``version`` counts its events.
    """

    id: UUID
    player: str
    asset: str
    campaign: UUID | None
    reference: str
    amount: int
    cause: str
    correlation_id: str
    opened_at: datetime
    recovered: int = 0
    written_off: int = 0
    lifted: int = 0
    restored: int = 0
    version: int = 0

    @property
    def open(self) -> int:
        """What is still owed."""
        return self.amount - self.recovered - self.written_off - self.lifted

    @property
    def unpaid(self) -> int:
        """What the player got and never gave back: what is still owed, and what was given up and not restored."""
        return self.open + self.written_off - self.restored

    @property
    def step_cause(self) -> str:
        """The cause of the transfers of its last change."""
        return f"receivable/{self.id}/{self.version}"


def _owed_by(debt: Receivable) -> Account:
    return Account(Kind.RECEIVABLE, debt.player, debt.asset)


def _clearing(debt: Receivable) -> Account:
    return Account(Kind.CLEARING, RECEIVABLES, debt.asset)


def opened_move(debt: Receivable) -> Move:
    """A player owes what could not be taken back."""
    return Move(TransferType.RECEIVABLE_OPENED, _owed_by(debt), _clearing(debt), debt.amount)


def pays(bucket: Kind, debt: Receivable) -> bool:
    """Whether a credit to ``bucket`` is taken for ``debt``. Winnings pay every debt. Top-ups pay only debts of top-ups,
    which lead outside: money that was paid in never comes to a pool.
    """
    return bucket is Kind.WINNINGS or (bucket is Kind.TOPUP and debt.campaign is None)


def recovery_moves(debt: Receivable, *, bucket: Kind, amount: int) -> list[Move]:
    """Take ``amount`` from the debtor's ``bucket`` to the pool that it is owed to (or outside), and settle as much of
    the debt: what funds a pool is money, never a debt.
    """
    wallet = Account(bucket, debt.player, debt.asset)
    to = (
        Account(Kind.POOL, str(debt.campaign), debt.asset)
        if debt.campaign is not None
        else Account(Kind.EXTERNAL_OUT, WORLD, debt.asset)
    )
    return [Move(TransferType.RECEIVABLE_RECOVERED, wallet, to, amount), lifted_move(debt, amount=amount)]


def lifted_move(debt: Receivable, *, amount: int) -> Move:
    """So much of a debt is owed no more."""
    return Move(TransferType.RECEIVABLE_SETTLED, _clearing(debt), _owed_by(debt), amount)


def written_off_move(debt: Receivable, *, amount: int) -> Move:
    """So much of a debt is given up."""
    return Move(
        TransferType.RECEIVABLE_WRITTEN_OFF,
        Account(Kind.WRITE_OFF, PLATFORM, debt.asset),
        _owed_by(debt),
        amount,
    )


def restored_move(debt: Receivable, *, amount: int) -> Move:
    """So much of what was given up of a debt is no loss any more: the reason of the debt is gone."""
    platform = Account(Kind.WRITE_OFF, PLATFORM, debt.asset)
    return Move(TransferType.RECEIVABLE_RESTORED, _clearing(debt), platform, amount)


class OwedStep(StrEnum):
    """What became of a receivable; the values are those in the event's type."""

    OPENED = "opened"
    RECOVERED = "recovered"
    """Taken from a credit, or owed no more because its reason is gone."""
    WRITTEN_OFF = "written_off"
    RESTORED = "restored"
    """Was given up, and is no loss any more because its reason is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivableChanged(Event):
    """What became of ``amount`` of a debt."""

    receivable: Receivable
    what: OwedStep
    amount: int


class ReceivableStep(NamedTuple):
    """One change of a debt: the debt after it, the amount of it that changed, what moves, and the event."""

    debt: Receivable
    amount: int
    moves: list[Move]
    event: ReceivableChanged


def open_debt(debt: Receivable) -> ReceivableStep:
    """A player owes the whole amount of a new debt."""
    event = ReceivableChanged(receivable=debt, what=OwedStep.OPENED, amount=debt.amount)
    return ReceivableStep(debt, debt.amount, [opened_move(debt)], event)


def recover(debts: Sequence[Receivable], *, bucket: Kind, amount: int) -> list[ReceivableStep]:
    """Take the debts from a credit of ``amount`` to ``bucket``, in their order. A credit to winnings pays every debt, one
    to top-ups only debts of top-ups.
    """
    steps = []
    for debt in debts:
        taken = min(amount, debt.open) if pays(bucket, debt) else 0
        if taken:
            amount -= taken
            after = replace(debt, recovered=debt.recovered + taken, version=debt.version + 1)
            event = ReceivableChanged(receivable=after, what=OwedStep.RECOVERED, amount=taken)
            moves = recovery_moves(after, bucket=bucket, amount=taken)
            steps.append(ReceivableStep(after, taken, moves, event))
    return steps


def write_off_debt(debt: Receivable) -> ReceivableStep:
    """Give up what is still open of a debt."""
    amount = debt.open
    after = replace(debt, written_off=debt.written_off + amount, version=debt.version + 1)
    event = ReceivableChanged(receivable=after, what=OwedStep.WRITTEN_OFF, amount=amount)
    return ReceivableStep(after, amount, [written_off_move(after, amount=amount)], event)


def undo_debt(debt: Receivable, amount: int) -> list[ReceivableStep]:
    """Undo ``amount`` of what was never paid of a debt, in at most two steps. What is still owed is lifted first. Then what
    was given up is restored to the platform, which would otherwise bear it twice.
    """
    steps = []
    lifted = min(amount, debt.open)
    if lifted:
        debt = replace(debt, lifted=debt.lifted + lifted, version=debt.version + 1)
        event = ReceivableChanged(receivable=debt, what=OwedStep.RECOVERED, amount=lifted)
        steps.append(ReceivableStep(debt, lifted, [lifted_move(debt, amount=lifted)], event))
    restored = amount - lifted
    if restored:
        debt = replace(debt, restored=debt.restored + restored, version=debt.version + 1)
        event = ReceivableChanged(receivable=debt, what=OwedStep.RESTORED, amount=restored)
        steps.append(ReceivableStep(debt, restored, [restored_move(debt, amount=restored)], event))
    return steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivableView:
    """What a player owes or owed."""

    id: UUID
    player: str
    asset: str
    amount: int
    open: int
    recovered: int
    written_off: int
    lifted: int
    restored: int
    campaign: UUID | None
    reference: str
    correlation_id: str
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOff:
    """An approver gives up what a player still owes."""

    receivable_id: UUID
    actor: str
    reason: str
