"""A configured rail, and what the choice of a rail reads of a payout."""

from dataclasses import dataclass
from typing import Protocol

from prizewire_contracts.rails import Capabilities, RewardPayoutProvider
from prizewire_money import Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """A configured rail: its name, what it can do, and its provider."""

    name: str
    capabilities: Capabilities
    provider: RewardPayoutProvider


class Routable(Protocol):
    """A payout, as far as the choice of its rail depends on it."""

    @property
    def rail_type(self) -> str:
        """The type of rail that pays to its destination."""
        ...

    @property
    def method_type(self) -> str:
        """The type of its destination."""
        ...

    @property
    def amount(self) -> Amount:
        """What is to be paid."""
        ...
