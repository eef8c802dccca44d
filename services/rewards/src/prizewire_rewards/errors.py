"""Errors of rewards.

RewardsError                    code, retryable
├── Refused                     an event cannot be applied: its code is one of the contracts' refusal codes
├── NeverBookable               a settlement that can never be booked: an event reports its code to settlement
├── IllegalTransition           illegal_transition
├── NotFound                    assignment_unknown | batch_unknown | campaign_unknown | claim_unknown | disownment_unknown
│                               | fee_withdrawal_unknown | funding_unknown
│                               | payout_unknown | player_unknown | receivable_unknown | reward_unknown | round_unknown | transfer_unknown
│                               | withdrawal_unknown
├── InvalidRequest              a stable code of its own, with a sentence
└── InsufficientBalance         insufficient_balance

No error is transient: the same input fails again until some state has changed.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from prizewire_money import Asset


class RewardsError(Exception):
    """The root of this tree; ``code`` is stable."""

    code: str = "rewards"
    retryable: ClassVar[bool] = False
    members: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Refused(RewardsError):
    """An event that is not applied. ``park``: later events of its subject wait until it is replayed or discarded."""

    def __init__(self, code: str, detail: str, *, park: bool = True) -> None:
        super().__init__(detail)
        self.code = code
        self.park = park


class NeverBookable(RewardsError):
    """A settlement that can never be booked. ``code`` is one of the contract's ``RoundRefusal``."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class IllegalTransition(RewardsError):
    """The state machine has no such edge."""

    code = "illegal_transition"

    def __init__(self, *, was: str, to: str) -> None:
        super().__init__(f"the change from {was} to {to} is not allowed")
        self.was = was
        self.to = to


class NotFound(RewardsError):
    """There is nothing with this id, or the caller may not see it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class InvalidRequest(RewardsError):
    """A request that a rule forbids. ``members`` become members of the problem details."""

    def __init__(self, code: str, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.members = members


class InsufficientBalance(RewardsError):
    """A balance does not cover the requested amount; both are minor units. ``members`` have them as texts."""

    code = "insufficient_balance"

    def __init__(self, *, asset: Asset, balance: int, amount: int, of: str = "winnings") -> None:
        super().__init__(
            f"the {of} do not cover the requested {asset.describe(amount)}: {asset.describe(balance)} is available"
        )
        self.members = {
            "asset": asset.code,
            "requested": asset.render(amount),
            "available": asset.render(balance),
        }
