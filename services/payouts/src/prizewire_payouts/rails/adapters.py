"""Reads the configuration of rails."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_contracts.text import is_word
from prizewire_money import Amount, AssetRegistry, MoneyError
from prizewire_payouts.rails.domain import RailCost
from prizewire_railkit import RailMisconfigured

PREFERENCE_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RailEntry:
    """One rail of the configuration: its name, its provider, and the options that the provider's package reads. ``preference`` and
    ``cost`` are read by payouts, the latter as it is written: by asset, ``fixed`` and ``share`` as decimal strings.
    """

    name: str
    provider: str
    options: Mapping[str, Any]
    preference: int = 0
    cost: Any = None


def read_costs(entry: RailEntry, *, assets: AssetRegistry) -> dict[str, RailCost]:
    """The costs of an entry, such as ``{USDC: {fixed: "0.10", share: "0.005"}}``.

    Raises:
        RailMisconfigured: they are malformed; the sentence says where.
    """
    if entry.cost is None:
        return {}
    if not isinstance(entry.cost, Mapping):
        raise _wrong_cost(entry, "must be a mapping by asset")
    return {str(code): _cost(entry, str(code), item, assets) for code, item in entry.cost.items()}


def _cost(entry: RailEntry, code: str, item: Any, assets: AssetRegistry) -> RailCost:
    if not isinstance(item, Mapping) or not item or not item.keys() <= {"fixed", "share"}:
        raise _wrong_cost(entry, f"of {code} holds `fixed:` or `share:`, and nothing else")
    fixed, share = item.get("fixed", "0"), item.get("share", "0")
    if not isinstance(fixed, str) or not isinstance(share, str):
        raise _wrong_cost(entry, f"of {code} holds decimal strings: numbers stand in quotes")
    if not _SHARE.fullmatch(share):
        raise _wrong_cost(
            entry,
            f'of {code} has the share {share!r}: give a part of the amount from 0 to 1, such as "0.005"',
        )
    try:
        return RailCost(fixed=Amount.parse(assets[code], fixed), share=Decimal(share))
    except MoneyError as error:
        raise _wrong_cost(entry, f"of {code}: {error}") from None


def _wrong_cost(entry: RailEntry, what: str) -> RailMisconfigured:
    return RailMisconfigured(f"the rail {entry.name}: cost {what}")


_SHARE = re.compile(r"0|1|0\.[0-9]{1,12}", re.ASCII)


def read_rails(path: Path) -> list[RailEntry]:
    """The rails of a file such as ``rails: [{name: fake, provider: fake}]``, in their order.

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
    name, provider = options.pop("name", None), options.pop("provider", None)
    preference, cost = options.pop("preference", 0), options.pop("cost", None)
    options.pop("webhook", None)  # how this rail's webhooks are verified: for the service that takes them
    if not isinstance(name, str) or not is_word(name):
        msg = f"rail number {number} of RAILS_FILE has no name of letters, digits and _.:/-"
        raise RailMisconfigured(msg)
    if not isinstance(provider, str) or not is_word(provider):
        msg = (
            f"the rail {name} names no provider: give `provider:` with the name of an installed rail package"
        )
        raise RailMisconfigured(msg)
    if type(preference) is not int or abs(preference) > PREFERENCE_MAX:
        msg = f"the rail {name}: preference must be a whole number from -{PREFERENCE_MAX} to {PREFERENCE_MAX}"
        raise RailMisconfigured(msg)
    return RailEntry(name=name, provider=provider, options=options, preference=preference, cost=cost)
