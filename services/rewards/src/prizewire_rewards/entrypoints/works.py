"""How entry points come to the ports of their transaction."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.ports import Work


@dataclass(frozen=True, slots=True)
class Works:
    """Gives the ports of a transaction; the composition root knows over what."""

    of: Callable[[AsyncConnection], Work]
