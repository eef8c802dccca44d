"""The parameters that a rail is built from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from prizewire_money import AssetRegistry
from prizewire_railkit.config import Options


class Clock(Protocol):
    """Returns the time, with time zone, in UTC."""

    def now(self) -> datetime:
        """The present moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RailContext:
    """``name`` is what the rail is called in the configuration, ``options`` the rest of its entry there;
    ``environment`` is ``development``, ``staging`` or ``production``.
    """

    name: str
    options: Options
    clock: Clock
    assets: AssetRegistry
    environment: str

    @property
    def in_production(self) -> bool:
        """Whether real money may move: stand-ins and test keys must refuse."""
        return self.environment == "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierContext:
    """What a webhook verifier is built from: ``name`` is the rail's in the configuration, ``options`` the rest of the
    ``webhook`` section of its entry. The secrets are handed over with each webhook, since they rotate.
    """

    name: str
    options: Options
    environment: str

    @property
    def in_production(self) -> bool:
        """Whether real money may move: stand-ins and test keys must refuse."""
        return self.environment == "production"
