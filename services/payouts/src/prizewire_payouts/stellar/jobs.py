"""The job that keeps the gauges of slots and channels."""

from typing import Final

from prizewire_chassis.jobs import Job
from prizewire_payouts.stellar.storage.execution import Execution
from prizewire_payouts.stellar.storage.figures import measure_execution

_EVERY_S: Final = 5.0


def measure_job(execution: Execution) -> Job:
    """The job over an execution."""

    async def run() -> bool:
        async with execution.db.transaction() as tx:
            await measure_execution(tx, execution)
        return False

    return Job("stellar.measure", _EVERY_S, run)
