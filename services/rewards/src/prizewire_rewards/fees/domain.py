"""Fees that leave the system: one person files a withdrawal, another approves it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import ORGANIZER, PLATFORM, WORLD


class FeeSource(StrEnum):
    """The owner of fees. The values are those of HTTP."""

    PLATFORM = "platform"
    """The platform's fees of prizes and of payouts."""
    ORGANIZER = "organizer"
    """Organizers' fees of rounds whose rule named no organizer."""
    ENTRY_FEES = "entry_fees"
    """Entry fees that are earned."""

    @property
    def label(self) -> str:
        """The source as text: ``platform fees``, ``organizer fees`` or ``entry fees``."""
        return f"{self.value.removesuffix('_fees')} fees"


class WithdrawalState(StrEnum):
    """The state of a withdrawal of fees. The values are those of HTTP."""

    FILED = "filed"
    """Nothing has moved. Another person decides."""
    APPROVED = "approved"
    """The money has left."""
    REJECTED = "rejected"
    """Nothing moves."""


WITHDRAWAL_START: Final = frozenset({WithdrawalState.FILED})
WITHDRAWAL_EDGES: Final[Mapping[tuple[WithdrawalState, WithdrawalState], str]] = {
    (WithdrawalState.FILED, WithdrawalState.APPROVED): "another person than the filer approved",
    (WithdrawalState.FILED, WithdrawalState.REJECTED): "a person rejected it, or the filer cancelled it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeWithdrawal:
    """A withdrawal of ``amount`` (minor units) by the bank transfer ``reference``. ``repeats`` is the earlier withdrawal of
    the same fees under this reference.
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
    """Fees of one source in one asset: the balance, the sum withdrawn, and the sum of filed withdrawals (minor units)."""

    source: FeeSource
    asset: str
    balance: int
    withdrawn: int
    filed: int


def source_account(source: FeeSource, asset: str) -> Account:
    """The account that holds these fees."""
    if source is FeeSource.ENTRY_FEES:
        return Account(Kind.ENTRY_FEES, PLATFORM, asset)
    return Account(Kind.FEES, ORGANIZER if source is FeeSource.ORGANIZER else PLATFORM, asset)


def withdrawal_move(withdrawal: FeeWithdrawal) -> Move:
    """The move by which fees leave. No allowed transfer leads from fees to a pool or a wallet."""
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
    """The withdrawal after the decision of the person ``by``.

    Raises:
        InvalidRequest: ``fee_withdrawal_final``: it is already decided; ``own_fee_withdrawal``: the filer may not approve.
    """
    if withdrawal.state is not WithdrawalState.FILED:
        raise InvalidRequest(
            "fee_withdrawal_final",
            f"the withdrawal {withdrawal.id} is already {withdrawal.state} by {withdrawal.decided_by}",
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
