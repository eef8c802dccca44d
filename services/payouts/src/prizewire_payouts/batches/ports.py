"""What decisions about batches need."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from prizewire_payouts.batches.domain import HoldNotes
from prizewire_payouts.payouts.domain.model import Payout


class Holds(Protocol):
    """What stands beside held payouts, within one transaction."""

    async def notes(self, payouts: Sequence[Payout]) -> Mapping[UUID, HoldNotes]:
        """The approvers and the gates of each payout under its present hold."""
        ...
