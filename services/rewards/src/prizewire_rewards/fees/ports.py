"""Withdrawals of fees, as the handlers need them."""

from typing import Protocol
from uuid import UUID

from prizewire_rewards.fees.domain import FeeSource, FeeWithdrawal
from prizewire_rewards.ledger.domain.records import EarlierBooking
from prizewire_rewards.ledger.ports import LedgerPorts


class FeeWithdrawals(Protocol):
    """Withdrawals of fees in one transaction."""

    async def lock_balance(self, source: FeeSource, asset: str) -> int:
        """The balance (minor units), less what the job still has to refund for disowned rounds. It is locked against other
        withdrawals until the transaction ends.
        """
        ...

    async def earlier(self, withdrawal: FeeWithdrawal) -> EarlierBooking | None:
        """The first withdrawal of the same fees under the same reference, in any case, that was not rejected. The caller holds the lock
        of the balance.
        """
        ...

    async def add(self, withdrawal: FeeWithdrawal) -> None:
        """Store a new withdrawal."""
        ...

    async def lock(self, identifier: UUID) -> FeeWithdrawal | None:
        """One withdrawal, locked; None where it does not exist."""
        ...

    async def decide(self, withdrawal: FeeWithdrawal) -> None:
        """Store the decision on a locked withdrawal."""
        ...


class FeePorts(LedgerPorts, Protocol):
    """The ports that handlers of fees use in one transaction."""

    fees: FeeWithdrawals
