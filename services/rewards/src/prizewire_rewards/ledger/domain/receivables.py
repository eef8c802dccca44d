"""Receivables of players: the moves that open, recover, lift, write off or restore them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import PLATFORM, RECEIVABLES, WORLD, Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivable:
    """A debt of a player. The pool of ``campaign`` gets recovered money; None for the debt of a top-up, whose money goes
    outside. ``reference`` names the round or the top-up. ``recovered`` was taken from credits. ``written_off`` was given
    up. ``lifted`` is no longer owed because the reason of the debt no longer exists. ``restored`` is the part of
    ``written_off`` that is no longer a loss of the platform, for the same reason. ``version`` counts the debt's events.
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
        """The amount that is still owed."""
        return self.amount - self.recovered - self.written_off - self.lifted

    @property
    def unpaid(self) -> int:
        """The amount that the player got and never gave back: what is still owed, and what was written off and not
        restored.
        """
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
    """The move that opens a debt over its whole amount."""
    return Move(TransferType.RECEIVABLE_OPENED, _owed_by(debt), _clearing(debt), debt.amount)


def pays(bucket: Kind, debt: Receivable) -> bool:
    """Whether a credit to ``bucket`` is used to recover ``debt``. Winnings pay every debt. Top-ups pay only debts of
    top-ups, whose money goes outside: money that a player paid in never funds a pool.
    """
    return bucket is Kind.WINNINGS or (bucket is Kind.TOPUP and debt.campaign is None)


def recovery_moves(debt: Receivable, *, bucket: Kind, amount: int) -> list[Move]:
    """Move ``amount`` from the debtor's ``bucket`` to the pool that it is owed to (or outside), and reduce the debt by the
    same amount. Only money funds a pool, never a debt.
    """
    wallet = Account(bucket, debt.player, debt.asset)
    to = (
        Account(Kind.POOL, str(debt.campaign), debt.asset)
        if debt.campaign is not None
        else Account(Kind.EXTERNAL_OUT, WORLD, debt.asset)
    )
    return [Move(TransferType.RECEIVABLE_RECOVERED, wallet, to, amount), lifted_move(debt, amount=amount)]


def lifted_move(debt: Receivable, *, amount: int) -> Move:
    """The move that reduces a debt by ``amount``."""
    return Move(TransferType.RECEIVABLE_SETTLED, _clearing(debt), _owed_by(debt), amount)


def written_off_move(debt: Receivable, *, amount: int) -> Move:
    """The move that writes off ``amount`` of a debt."""
    return Move(
        TransferType.RECEIVABLE_WRITTEN_OFF,
        Account(Kind.WRITE_OFF, PLATFORM, debt.asset),
        _owed_by(debt),
        amount,
    )


def restored_move(debt: Receivable, *, amount: int) -> Move:
    """The move that restores ``amount`` of what was written off: the reason of the debt no longer exists."""
    platform = Account(Kind.WRITE_OFF, PLATFORM, debt.asset)
    return Move(TransferType.RECEIVABLE_RESTORED, _clearing(debt), platform, amount)


class OwedStep(StrEnum):
    """How a receivable changed; the values are those in the event's type."""

    OPENED = "opened"
    RECOVERED = "recovered"
    """Taken from a credit, or lifted because the reason of the debt no longer exists."""
    WRITTEN_OFF = "written_off"
    RESTORED = "restored"
    """Written off before, and no longer a loss because the reason of the debt no longer exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivableChanged(Event):
    """``amount`` of a debt changed."""

    receivable: Receivable
    what: OwedStep
    amount: int


class ReceivableStep(NamedTuple):
    """One change of a debt: the debt after the change, the changed amount, the moves, and the event."""

    debt: Receivable
    amount: int
    moves: list[Move]
    event: ReceivableChanged


def open_debt(debt: Receivable) -> ReceivableStep:
    """Open a new debt over its whole amount."""
    event = ReceivableChanged(receivable=debt, what=OwedStep.OPENED, amount=debt.amount)
    return ReceivableStep(debt, debt.amount, [opened_move(debt)], event)


def recover(debts: Sequence[Receivable], *, bucket: Kind, amount: int) -> list[ReceivableStep]:
    """Recover the debts, in their order, from a credit of ``amount`` to ``bucket``. A credit to winnings pays every debt, a
    credit to top-ups only debts of top-ups.
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
    """Write off the open amount of a debt."""
    amount = debt.open
    after = replace(debt, written_off=debt.written_off + amount, version=debt.version + 1)
    event = ReceivableChanged(receivable=after, what=OwedStep.WRITTEN_OFF, amount=amount)
    return ReceivableStep(after, amount, [written_off_move(after, amount=amount)], event)


def undo_debt(debt: Receivable, amount: int) -> list[ReceivableStep]:
    """Undo ``amount`` of the unpaid part of a debt, in at most two steps. The first step lifts what is still owed. The
    second one restores what was written off: otherwise the platform would take that loss twice.
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
    """A receivable as an answer shows it."""

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
    """An approver writes off the open amount of a receivable."""

    receivable_id: UUID
    actor: str
    reason: str
