"""Drills: failures that are caused on purpose, and ended by their runbooks."""

from typing import Final

from prizewire_devstack.drills.broker import BROKER
from prizewire_devstack.drills.drill import Drill
from prizewire_devstack.drills.money import POOL, REJECTED, VOLUME
from prizewire_devstack.drills.rails import DUPLICATE, OUTAGE, WEBHOOKS

DRILLS: Final[dict[str, Drill]] = {
    one.name: one for one in (WEBHOOKS, POOL, DUPLICATE, OUTAGE, VOLUME, REJECTED, BROKER)
}
"""Every drill by name, in the order in which `prizewire drill --all` runs them."""

__all__ = ["DRILLS", "Drill"]
