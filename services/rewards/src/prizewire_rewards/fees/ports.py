"""Withdrawals of fees, as the handlers need them."""

from typing import Protocol
from uuid import UUID

from prizewire_rewards.fees.domain import FeeSource, FeeWithdrawal
from prizewire_rewards.ledger.domain.references import EarlierBooking
from prizewire_rewards.ledger.ports import LedgerPorts


class FeeWithdrawals(Protocol):
    """Withdrawals of fees in one transaction."""

    async def lock_balance(self, source: FeeSource, asset: str) -> int:
        """What lies there (minor units), less what a job still gives back of disowned rounds. Nobody else withdraws of it
        until the transaction ends.
        """
        ...

    async def earlier(self, withdrawal: FeeWithdrawal) -> EarlierBooking | None:
        """The first withdrawal of the same fees under the same reference that was not rejected. The caller holds the lock
        of the balance.
        """
        ...

    async def add(self, withdrawal: FeeWithdrawal) -> None:
        """Store a new one."""
        ...

    async def lock(self, identifier: UUID) -> FeeWithdrawal | None:
        """One, locked."""
        ...

    async def decide(self, withdrawal: FeeWithdrawal) -> None:
        """Store what became of a locked one."""
        ...


class FeePorts(LedgerPorts, Protocol):
    """The ports that handlers of fees use in one transaction."""

    fees: FeeWithdrawals
