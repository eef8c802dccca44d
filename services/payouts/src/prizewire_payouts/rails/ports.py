"""A configured rail, and what the choice of a rail reads of a payout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from prizewire_contracts.rails import Capabilities, RewardPayoutProvider
from prizewire_money import Amount
from prizewire_payouts.rails.domain import RailCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """A configured rail: its name, what it can do, and its provider, which the configuration calls ``provider_name``.

    Rails of a lower ``preference`` come first. ``costs`` is what a payment costs the platform, by asset code, where the configuration
    says so.
    """

    name: str
    capabilities: Capabilities
    provider: RewardPayoutProvider
    provider_name: str = ""
    preference: int = 0
    costs: Mapping[str, RailCost] = field(default_factory=dict)


class Payable(Protocol):
    """A payout, as far as any rail depends on it."""

    @property
    def method_type(self) -> str:
        """The type of its destination."""
        ...

    @property
    def amount(self) -> Amount:
        """What is to be paid."""
        ...


class Allowed(Payable, Protocol):
    """A payout, as far as the choice of its rail depends on it."""

    @property
    def rail_types(self) -> tuple[str, ...]:
        """The types of rails that its intent allows."""
        ...


class Routable(Payable, Protocol):
    """A payout that was given to a rail."""

    @property
    def rail_type(self) -> str:
        """The type of that rail."""
        ...
