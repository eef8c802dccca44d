"""Top-ups: credited once, reversed at most up to the credit, restored when a dispute is won."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import INTAKE_MAX, WORLD, Event


class ReversalKind(StrEnum):
    """Why a payment went back to the payer."""

    REFUND = "refund"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topup:
    """The top-up of one payment session. ``credited`` is the amount that the provider named. ``reversed`` is what refunds and
    disputes took of it, less what won disputes gave back. ``version`` counts the events of the top-up.
    """

    id: UUID
    player: str
    asset: str
    credited: int
    rail: str
    reference: str
    correlation_id: str
    reversed: int = 0
    version: int = 1

    @property
    def reversible(self) -> int:
        """What refunds and disputes can still take (minor units)."""
        return self.credited - self.reversed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """One refund or dispute, by the provider's id.

    ``asked`` is the amount that the provider named. ``taken`` came out of the wallet. ``owed`` was spent already and is the
    receivable ``receivable_id``. ``restored`` is what came back when the dispute was won: of it, ``lifted`` undid the
    receivable, whether still owed or written off, and the rest went to the wallet.
    """

    topup_id: UUID
    rail: str
    reference: str
    kind: ReversalKind
    asked: int
    taken: int
    owed: int
    receivable_id: UUID | None
    restored: int = 0
    lifted: int = 0
    won: bool = False

    @property
    def booked(self) -> int:
        """What this reversal took from wallet and receivable (minor units)."""
        return self.taken + self.owed


def _wallet(topup: Topup) -> Account:
    return Account(Kind.TOPUP, topup.player, topup.asset)


def credited_move(topup: Topup, *, amount: int) -> Move:
    """A payment, into the bucket that pays entry fees."""
    source = Account(Kind.EXTERNAL_IN, WORLD, topup.asset)
    return Move(TransferType.TOPUP_CREDITED, source, _wallet(topup), amount)


def reversed_move(topup: Topup, *, amount: int) -> Move:
    """Money that goes back to the payer."""
    outside = Account(Kind.EXTERNAL_OUT, WORLD, topup.asset)
    return Move(TransferType.TOPUP_REVERSED, _wallet(topup), outside, amount)


TOPUP_INTAKE_MAX: Final = INTAKE_MAX // 2
"""A top-up is refused above this intake of its asset (minor units): top-ups must not use up what admins may fund."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTopup:
    """A session was paid; ``amount`` is what the provider names."""

    topup_id: UUID
    player: str
    asset: str
    amount: int
    rail: str
    reference: str
    correlation_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseTopup:
    """A payment went back; ``reference`` is the provider's id of the refund or dispute."""

    topup_id: UUID
    player: str
    asset: str
    amount: int
    rail: str
    reference: str
    kind: ReversalKind
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WinDispute:
    """A dispute was won: the provider gave the money back."""

    topup_id: UUID
    player: str
    asset: str
    amount: int
    rail: str
    reference: str
    cause: str


TopupCommand = CreditTopup | ReverseTopup | WinDispute


@dataclass(frozen=True, slots=True, kw_only=True)
class TopupChanged(Event):
    """A top-up was credited, or reversed where ``reversed`` is true. ``reference`` is the provider's id of the payment,
    refund or dispute. ``owed`` is the part that was spent already.
    """

    topup: Topup
    amount: int
    owed: int
    reference: str
    reversed: bool
    cause: str | None = None
