"""Periodic work that can be woken, backs off when it fails, and stops between two runs."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import JOB_FAILURES
from prizewire_chassis.tracing import Kind, Unit, new_trace, record, working

STARTUP_DELAY_S = 15.0
"""``first_s`` of jobs that read whole tables, in seconds."""
_BACKOFF_MAX_S = 10.0
_log = get_logger(__name__)


@dataclass(slots=True)
class Job:
    """Work that is done every ``interval_s`` seconds, or sooner when woken.

    ``run`` returns whether there was work; then it is called again at once. It must be restartable at any point.
    ``first_s`` is the delay of the first run, so that a service that starts again can first catch up with its messages.
    """

    name: str
    interval_s: float
    run: Callable[[], Awaitable[bool]]
    first_s: float = 0.0
    woken: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def wake(self) -> None:
        """Run now, or once more if it is running."""
        self.woken.set()


class JobRunner:
    """Runs jobs until it is stopped. A run that has begun is always finished."""

    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = jobs
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start each job in a task. Its counter of failures is shown from now on: Prometheus sees no increase in a counter that
        begins with 1.
        """
        for job in self._jobs:
            JOB_FAILURES.labels(job.name)
        self._tasks = [asyncio.create_task(self._loop(job), name=f"job {job.name}") for job in self._jobs]

    async def stop(self) -> None:
        """Let the running jobs finish, and start none."""
        self._stopping = True
        for job in self._jobs:
            job.wake()
        await asyncio.gather(*self._tasks)

    async def _loop(self, job: Job) -> None:
        failures = 0
        if job.first_s:
            await _woken(job, within_s=job.first_s)
        while not self._stopping:
            job.woken.clear()
            with working(Unit(new_trace())) as unit:
                started_ns = time.time_ns()
                try:
                    busy = await job.run()
                    failures = 0
                except Exception as error:  # noqa: BLE001 - a failing job must not end the others
                    failures += 1
                    JOB_FAILURES.labels(job.name).inc()
                    _log.exception("job failed", job=job.name, failures=failures)
                    busy = False
                    _record_run(job, unit, started_ns=started_ns, error=type(error).__name__)
            if busy:
                _record_run(job, unit, started_ns=started_ns)
            if busy and not self._stopping:
                continue
            pause_s = job.interval_s
            if failures:
                pause_s = min(_BACKOFF_MAX_S, 0.1 * 2.0**failures) * random.uniform(0.5, 1)  # noqa: S311 - jitter
            await _woken(job, within_s=pause_s)


def _record_run(job: Job, unit: Unit, *, started_ns: int, error: str | None = None) -> None:
    """A span for a run that had work or failed. Most runs find nothing to do."""
    record(
        f"job {job.name}",
        kind=Kind.INTERNAL,
        traceparent=unit.traceparent,
        parent=None,
        started_ns=started_ns,
        attributes={"prizewire.job": job.name},
        error=error,
    )


async def _woken(job: Job, *, within_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(job.woken.wait(), timeout=within_s)
