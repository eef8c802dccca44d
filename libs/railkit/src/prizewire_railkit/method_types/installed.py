"""The method types of this installation: those of railkit, and those that installed packages announce."""

from functools import cache
from importlib.metadata import entry_points

from prizewire_contracts.rails import METHOD_TYPE_ENTRY_POINTS
from prizewire_railkit.config import RailMisconfigured
from prizewire_railkit.method_types.bank import BANK
from prizewire_railkit.method_types.base import MethodType
from prizewire_railkit.method_types.email import EMAIL
from prizewire_railkit.method_types.exchange import EXCHANGE
from prizewire_railkit.method_types.fake import FAKE
from prizewire_railkit.method_types.stellar import STELLAR
from prizewire_railkit.method_types.telegram import TELEGRAM
from prizewire_railkit.method_types.ton import TON
from prizewire_railkit.method_types.upi import UPI

BUILT_IN: tuple[MethodType, ...] = (BANK, EMAIL, EXCHANGE, FAKE, STELLAR, TELEGRAM, TON, UPI)
"""The method types that railkit brings."""


def installed_method_types() -> dict[str, MethodType]:
    """Every method type by its name.

    Raises:
        RailMisconfigured: two method types have one name, or an entry point names something else than a method type.
    """
    return {one.name: one for one in _installed()}


@cache
def _installed() -> tuple[MethodType, ...]:
    """The method types; what is installed does not change while a process runs."""
    found = {one.name: one for one in BUILT_IN}
    for point in entry_points(group=METHOD_TYPE_ENTRY_POINTS):
        loaded = point.load()
        if not isinstance(loaded, MethodType) or loaded.name != point.name:
            msg = f"the entry point {point.name} in {METHOD_TYPE_ENTRY_POINTS} must name a MethodType of the name {point.name}"
            raise RailMisconfigured(msg)
        if loaded.name in found:
            msg = f"two packages bring the method type {loaded.name}: uninstall one of them"
            raise RailMisconfigured(msg)
        found[loaded.name] = loaded
    return tuple(found.values())
