"""The statuses of history entries: one closed list for listings, filters and documents."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from prizewire_rewards.ledger.domain.accounts import TransferType
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.prizes.domain.states import RewardState


class Status(StrEnum):
    """The status of an entry's money. For the types in ``CHANGING`` it follows from the state of the payout, the entry into
    a round or the prize. For all other types it follows from the type and never changes.
    """

    PENDING = "pending"
    """The money waits for the finality of its round, for a claim, for the end of an entered round, or for the end of a payout."""
    COMPLETED = "completed"
    """The money has arrived."""
    PAID = "paid"
    """A payout that its rail has paid."""
    EARNED = "earned"
    """An entry fee that is revenue."""
    REFUNDED = "refunded"
    """An entry fee that went back to the wallet."""
    FAILED = "failed"
    """A payout that no attempt could pay; its money is back in the wallet."""
    REJECTED = "rejected"
    """A payout or a claim that a person or a rule refused."""
    CANCELLED = "cancelled"
    """A cancelled payout; its money is back in the wallet."""
    RETURNED = "returned"
    """A payout that was paid and came back from its rail."""
    EXPIRED = "expired"
    """A prize that was not claimed in time."""
    REVERSED = "reversed"
    """A prize that was taken back, and every entry that reverses an earlier one."""


CHANGING: Final[Mapping[TransferType, frozenset[Status]]] = {
    TransferType.PAYOUT_REQUESTED: frozenset(
        {
            Status.PENDING,
            Status.PAID,
            Status.FAILED,
            Status.REJECTED,
            Status.CANCELLED,
            Status.RETURNED,
        }
    ),
    TransferType.ENTRY_FEE_HELD: frozenset({Status.PENDING, Status.EARNED, Status.REFUNDED}),
    TransferType.PRIZE_PENDING: frozenset({Status.PENDING, Status.COMPLETED, Status.REVERSED}),
    TransferType.CLAIM_OPENED: frozenset(
        {Status.PENDING, Status.COMPLETED, Status.REJECTED, Status.EXPIRED, Status.REVERSED}
    ),
}
"""The types whose status changes, and the statuses that they can have."""
_REVERSING: Final = frozenset(
    {
        TransferType.PRIZE_REVERSED,
        TransferType.PRIZE_RELEASED,
        TransferType.PRIZE_UNCLAIMED,
        TransferType.CLAIM_EXPIRED,
        TransferType.CLAIM_REJECTED,
        TransferType.ENTRY_FEE_REFUNDED,
        TransferType.ENTRY_FEE_REVERSED,
        TransferType.PLATFORM_FEE_REVERSED,
        TransferType.ORGANIZER_FEE_REVERSED,
        TransferType.PAYOUT_EXCHANGE_REVERSED,
        TransferType.PAYOUT_GIVEN_BACK,
        TransferType.PAYOUT_RETURNED,
        TransferType.TOPUP_REVERSED,
    }
)
STATUS_OF: Final[Mapping[TransferType, Status]] = {
    type_: Status.REVERSED if type_ in _REVERSING else Status.COMPLETED
    for type_ in TransferType
    if type_ not in CHANGING
}
"""The status of each type whose status never changes."""

PAYOUT_STATUSES: Final[Mapping[str, Status]] = {
    PayoutState.REQUESTED: Status.PENDING,
    PayoutState.CANCEL_REQUESTED: Status.PENDING,
    PayoutState.PAID: Status.PAID,
    PayoutState.FAILED: Status.FAILED,
    PayoutState.REJECTED: Status.REJECTED,
    PayoutState.CANCELLED: Status.CANCELLED,
    PayoutState.RETURNED: Status.RETURNED,
}
ENTRY_STATUSES: Final[Mapping[str, Status]] = {
    "paid": Status.PENDING,
    "earned": Status.EARNED,
    "closed": Status.EARNED,
    "refunded": Status.REFUNDED,
}
PRIZE_STATUSES: Final[Mapping[str, Status]] = {
    RewardState.UNFUNDED: Status.PENDING,
    RewardState.PENDING: Status.PENDING,
    RewardState.HELD: Status.PENDING,
    RewardState.CLAIMABLE: Status.COMPLETED,
    RewardState.CREDITED: Status.COMPLETED,
    RewardState.EXPIRED: Status.COMPLETED,
    RewardState.REJECTED: Status.COMPLETED,
    RewardState.REVERSED: Status.REVERSED,
}
"""The status of a pending prize by the state of the prize. What happens after finality has entries of its own."""
CLAIM_STATUSES: Final[Mapping[str, Status]] = {
    **PRIZE_STATUSES,
    RewardState.CLAIMABLE: Status.PENDING,
    RewardState.EXPIRED: Status.EXPIRED,
    RewardState.REJECTED: Status.REJECTED,
}
"""The status of a claim by the state of its prize."""


def types_with(status: Status) -> frozenset[str]:
    """The transfer types that can have a status."""
    plain = {type_ for type_, found in STATUS_OF.items() if found is status}
    return frozenset(plain | {type_ for type_, statuses in CHANGING.items() if status in statuses})
