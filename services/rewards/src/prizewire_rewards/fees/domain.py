"""Fees that leave the system: one person files what is to be withdrawn, another approves it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.moves import ORGANIZER, PLATFORM, WORLD


class FeeSource(StrEnum):
    """Whose fees; the values are those on the wire."""

    PLATFORM = "platform"
    """The platform's, of prizes and of payouts."""
    ORGANIZER = "organizer"
    """Organizers', of rounds whose rule named no organizer."""
    ENTRY_FEES = "entry_fees"
    """What players paid to enter, once it is earned."""

    @property
    def told(self) -> str:
        """The source in a sentence: ``platform fees``, ``organizer fees`` or ``entry fees``."""
        return f"{self.value.removesuffix('_fees')} fees"


class WithdrawalState(StrEnum):
    """Where a withdrawal of fees stands; the values are those on the wire."""

    FILED = "filed"
    """Nothing has moved; another person decides."""
    APPROVED = "approved"
    """The money has left."""
    REJECTED = "rejected"
    """Nothing moves any more."""


WITHDRAWAL_START: Final = frozenset({WithdrawalState.FILED})
WITHDRAWAL_EDGES: Final[Mapping[tuple[WithdrawalState, WithdrawalState], str]] = {
    (WithdrawalState.FILED, WithdrawalState.APPROVED): "another person than the filer approved",
    (WithdrawalState.FILED, WithdrawalState.REJECTED): "somebody refused it, or the filer took it back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeWithdrawal:
    """``amount`` (minor units) of fees that are to leave by the bank transfer ``reference``. ``repeats``: the earlier
    withdrawal of the same fees under this reference.
    """

    id: UUID
    source: FeeSource
    asset: str
    amount: int
    reference: str
    filed_by: str
    filed_at: datetime
    state: WithdrawalState = WithdrawalState.FILED
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None
    repeats: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeBalance:
    """What lies where, what was withdrawn of it, and what is filed to be. Minor units."""

    source: FeeSource
    asset: str
    balance: int
    withdrawn: int
    filed: int


def source_account(source: FeeSource, asset: str) -> Account:
    """Where these fees lie."""
    if source is FeeSource.ENTRY_FEES:
        return Account(Kind.ENTRY_FEES, PLATFORM, asset)
    return Account(Kind.FEES, ORGANIZER if source is FeeSource.ORGANIZER else PLATFORM, asset)


def withdrawal_move(withdrawal: FeeWithdrawal) -> Move:
    """Fees that leave. Nothing else is done with them: no way leads from fees to a pool or a wallet."""
    entry = withdrawal.source is FeeSource.ENTRY_FEES
    return Move(
        TransferType.ENTRY_FEE_WITHDRAWN if entry else TransferType.FEE_WITHDRAWN,
        source_account(withdrawal.source, withdrawal.asset),
        Account(Kind.EXTERNAL_OUT, WORLD, withdrawal.asset),
        withdrawal.amount,
    )


def decided(
    withdrawal: FeeWithdrawal, *, approved: bool, by: str, reason: str | None, now: datetime
) -> FeeWithdrawal:
    """A withdrawal that a person has decided on.

    Raises:
        InvalidRequest: ``fee_withdrawal_final``: it is decided; ``own_fee_withdrawal``: who files does not approve.
    """
    if withdrawal.state is not WithdrawalState.FILED:
        raise InvalidRequest(
            "fee_withdrawal_final", f"the withdrawal is {withdrawal.state} by {withdrawal.decided_by}"
        )
    if approved and by == withdrawal.filed_by:
        raise InvalidRequest(
            "own_fee_withdrawal", f"{by} filed this withdrawal: another person has to approve it"
        )
    return replace(
        withdrawal,
        state=WithdrawalState.APPROVED if approved else WithdrawalState.REJECTED,
        decided_by=by,
        decided_at=now,
        reason=reason,
    )
