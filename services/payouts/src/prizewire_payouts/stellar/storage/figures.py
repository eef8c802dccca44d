"""What the gauges of slots and channels show. Only open slots and transactions that hold a channel are read, through partial indexes."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.metrics.definitions import show
from prizewire_payouts.metrics import (
    HOLDING_STATES,
    IDLE,
    IN_USE,
    STELLAR_CHANNELS,
    STELLAR_SLOTS,
)
from prizewire_payouts.stellar.storage.execution import Execution

_STATES = ", ".join(f"'{state}'" for state in HOLDING_STATES)
_SLOTS = text(
    f"SELECT coalesce(a.state, '{IDLE}') AS state, count(*) AS n FROM stellar_slots s "  # noqa: S608 - constants
    f"LEFT JOIN stellar_attempts a ON a.account = s.account AND a.slot_id = s.slot_id AND a.state IN ({_STATES}) "
    "WHERE s.state = 'open' GROUP BY 1"
)
_HELD = text(f"SELECT account FROM stellar_attempts WHERE state IN ({_STATES})")  # noqa: S608 - constants


async def measure_execution(tx: AsyncConnection, execution: Execution) -> None:
    """Set the gauges of open slots and of the configured channels."""
    slots = {row.state: row.n for row in await tx.execute(_SLOTS)}
    show(STELLAR_SLOTS, {(state,): slots.get(state, 0) for state in (*HOLDING_STATES, IDLE)})
    held = set((await tx.execute(_HELD)).scalars())
    used = len(held.intersection(execution.channels))
    show(STELLAR_CHANNELS, {(IN_USE,): used, (IDLE,): len(execution.channels) - used})
