"""The parameters that a rail is built from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from prizewire_money import AssetRegistry
from prizewire_railkit.config import Options
from prizewire_railkit.method_types.base import MethodType
from prizewire_railkit.store import RailStore


class Clock(Protocol):
    """Returns the time, with time zone, in UTC."""

    def now(self) -> datetime:
        """The present moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RailContext:
    """``name`` is what the rail is called in the configuration, ``options`` the rest of its entry there;
    ``environment`` is ``development``, ``staging`` or ``production``. ``method_types`` are all that are installed.
    ``store`` keeps rows of this rail in payouts' database; None where the configuration is only checked.
    """

    name: str
    options: Options
    clock: Clock
    assets: AssetRegistry
    environment: str
    method_types: Mapping[str, MethodType] = field(default_factory=dict)
    store: RailStore | None = None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningContext:
    """What a screening service is built from: ``name`` is its entry point's, ``options`` its file."""

    name: str
    options: Options
    environment: str

    @property
    def in_production(self) -> bool:
        """Whether real money may move: stand-ins and test keys must refuse."""
        return self.environment == "production"
