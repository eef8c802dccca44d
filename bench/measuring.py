"""What a side of a benchmark cost and how fast it was: processor time, write-ahead log, credits over seconds."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import asyncpg
import psutil

from prizewire_devstack.stack import Stack

LOOK_S = 0.02
STILL_S = 0.5
DEADLINE_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One side of one run: credits and the seconds over which they were seen, and what they cost.

    ``cpu_s`` is of this side's processes and PostgreSQL, ``wal_bytes`` of the whole server, both for ``target``
    credits; batch times reach from the decoded batch to its commit, for the services the slower of the two.
    """

    side: str
    credits: int
    seconds: float
    target: int
    cpu_s: float
    wal_bytes: int
    batch_p50_ms: float
    batch_p99_ms: float

    @property
    def rate(self) -> float:
        """Credits per second."""
        return self.credits / self.seconds

    def figures(self) -> dict[str, float]:
        """What is reported of it."""
        return {
            "credits_per_s": round(self.rate),
            "cpu_s_per_1000_credits": round(self.cpu_s / self.target * 1000, 3),
            "wal_bytes_per_credit": round(self.wal_bytes / self.target),
            "batch_p50_ms": round(self.batch_p50_ms, 1),
            "batch_p99_ms": round(self.batch_p99_ms, 1),
        }


class Meter:
    """Reads what the server and processes have used so far; the difference of two readings is what a side cost."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def wal_bytes(self) -> int:
        """Bytes of write-ahead log since the server was made."""
        return int(self._stack.postgres.run_sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))

    def cpu_s(self, *parts: str) -> float:
        """Processor seconds of these parts with their children, ended ones included."""
        total = 0.0
        for part in parts:
            process = psutil.Process(self._stack.supervisor.pid(part))
            own = process.cpu_times()
            total += own.user + own.system + own.children_user + own.children_system
            for child in process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    used = child.cpu_times()
                    total += used.user + used.system
        return total


async def watch(database: str, *, progress: str, credits_query: str, target: int) -> tuple[int, float]:
    """Look until there are ``target`` credits in all; answers credits and seconds between the first look that saw progress
    and the last that saw any. ``progress`` rises with every transfer; when it stands still, the credits are counted.

    Raises:
        TimeoutError: the target was not reached within the deadline.
    """
    connection = await asyncpg.connect(database)
    try:
        base = last = await connection.fetchval(progress)
        first: tuple[int, float] | None = None
        changed = time.monotonic()
        give_up = changed + DEADLINE_S
        while True:
            seen = await connection.fetchval(progress)
            at = time.monotonic()
            if seen != last:
                last, changed = seen, at
                if first is None:
                    first = (await connection.fetchval(credits_query), time.monotonic())
            elif first is not None and at - changed > STILL_S:
                found = await connection.fetchval(credits_query)
                if found >= target:
                    return found - first[0], changed - first[1]
                changed = at
            if at > give_up:
                msg = f"{last - base} transfers for {target} credits after {DEADLINE_S:.0f} s"
                raise TimeoutError(msg)
            await asyncio.sleep(LOOK_S)
    finally:
        await connection.close()


async def count(database: str, query: str) -> int:
    """The count that ``query`` answers."""
    connection = await asyncpg.connect(database)
    try:
        found: int = await connection.fetchval(query)
        return found
    finally:
        await connection.close()
