"""Reads the configuration of rails and builds the providers it names, and no others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml

from prizewire_chassis.clock import Clock
from prizewire_contracts.rails import PROVIDER_ENTRY_POINTS, RailType, RewardPayoutProvider
from prizewire_contracts.text import is_word
from prizewire_money import AssetRegistry
from prizewire_payouts.rails.ports import Rail
from prizewire_railkit import Options, RailContext, RailMisconfigured

Factory = Callable[[RailContext], RewardPayoutProvider]


@dataclass(frozen=True, slots=True, kw_only=True)
class RailEntry:
    """One rail of the configuration: its name, its type, and the options that its package reads."""

    name: str
    type: RailType
    options: Mapping[str, Any]


def read_rails(path: Path) -> list[RailEntry]:
    """The rails of a file such as ``rails: [{name: fake, type: fake}]``, in their order.

    Raises:
        RailMisconfigured: the file is missing or malformed, or an entry is; the sentence says which.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        msg = f"RAILS_FILE {path.name} cannot be read: {error.strerror}"
        raise RailMisconfigured(msg) from None
    except yaml.YAMLError:
        msg = f"RAILS_FILE {path.name} is no YAML"
        raise RailMisconfigured(msg) from None
    if (
        not isinstance(document, dict)
        or set(document) != {"rails"}
        or not isinstance(document["rails"], list)
    ):
        msg = f"RAILS_FILE {path.name} must hold `rails:` with a list, and nothing else"
        raise RailMisconfigured(msg)
    found = [_entry(number, item) for number, item in enumerate(document["rails"], start=1)]
    names = [entry.name for entry in found]
    if len(set(names)) < len(names):
        msg = f"RAILS_FILE {path.name} gives one name to two rails"
        raise RailMisconfigured(msg)
    return found


def _entry(number: int, item: Any) -> RailEntry:
    if not isinstance(item, dict):
        msg = f"rail number {number} of RAILS_FILE is no mapping"
        raise RailMisconfigured(msg)
    options = {str(key): value for key, value in item.items()}
    name, kind = options.pop("name", None), options.pop("type", None)
    options.pop("webhook", None)  # how this rail's webhooks are verified: for the service that takes them
    if not isinstance(name, str) or not is_word(name):
        msg = f"rail number {number} of RAILS_FILE has no name of letters, digits and _.:/-"
        raise RailMisconfigured(msg)
    if not isinstance(kind, str) or kind not in [*RailType]:
        msg = f"the rail {name} has no type of: {', '.join(RailType)}"
        raise RailMisconfigured(msg)
    return RailEntry(name=name, type=RailType(kind), options=options)


def build_rails(
    entries: list[RailEntry],
    *,
    built_in: Mapping[RailType, Callable[[RailEntry], RewardPayoutProvider]],
    clock: Clock,
    assets: AssetRegistry,
    environment: str,
) -> list[Rail]:
    """A provider for each entry. Types in ``built_in`` are made here; the others come from the packages that
    announce them under the entry point group ``prizewire.rails``, of which only the configured are imported.

    Raises:
        RailMisconfigured: no package serves a type, two do, or the package refuses its options.
    """
    rails = []
    for entry in entries:
        if entry.type in built_in:
            provider = built_in[entry.type](entry)
        else:
            context = RailContext(
                name=entry.name,
                options=Options(rail=entry.name, values=entry.options),
                clock=clock,
                assets=assets,
                environment=environment,
            )
            provider = _factory(entry)(context)
        rails.append(Rail(name=entry.name, capabilities=provider.capabilities(), provider=provider))
    return rails


def _factory(entry: RailEntry) -> Factory:
    announced = list(entry_points(group=PROVIDER_ENTRY_POINTS, name=str(entry.type)))
    if len(announced) != 1:
        count = "no installed package serves" if not announced else f"{len(announced)} packages serve"
        msg = f"the rail {entry.name} is of type {entry.type}, which {count}"
        raise RailMisconfigured(msg)
    factory: Factory = announced[0].load()
    return factory
