"""Withdrawals of fees, as the handlers need them."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.domain.fees import FeeBalance, FeeSource, FeeWithdrawal, WithdrawalState
from prizewire_rewards.domain.references import EarlierBooking


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


class FeeQueries(Protocol):
    """What people read of them."""

    async def fee_withdrawals(
        self, *, state: WithdrawalState | None, limit: int, before: tuple[datetime, UUID] | None
    ) -> list[FeeWithdrawal]:
        """Withdrawals, newest first, those before a (time, id)."""
        ...

    async def fee_withdrawal(self, identifier: UUID) -> FeeWithdrawal | None:
        """One."""
        ...

    async def fee_balances(self) -> list[FeeBalance]:
        """What lies where, by asset and source."""
        ...
