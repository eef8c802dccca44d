"""The cost and the rate of a side of a benchmark: processor time, write-ahead log, rows, credits over seconds."""

import asyncio
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg
import psutil

from prizewire_devstack.components.psql import binaries
from prizewire_devstack.stack import Stack

LOOK_S = 0.02
STILL_S = 0.5
DEADLINE_S = 900.0


class LogUse(NamedTuple):
    """The contents of a part of the write-ahead log: bytes, bytes of whole pages among them, rows and index entries.

    ``index_entries`` are new entries of b-trees.
    """

    bytes: int
    page_bytes: int
    rows_inserted: int
    rows_updated: int
    index_entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One side of one run: credits and the seconds over which they were seen, and what they cost.

    ``cpu_s`` is of this side's processes and PostgreSQL, ``log`` of the whole server, all for ``target`` credits
    and without the start: ``start_cpu_s`` is what the side's processes used until they had made the first credits, which
    do not count. Batch times reach from the decoded batch to its commit, for the services the slower of the two.
    """

    side: str
    credits: int
    seconds: float
    target: int
    start_cpu_s: float
    cpu_s: float
    log: LogUse
    batch_p50_ms: float
    batch_p99_ms: float

    @property
    def rate(self) -> float:
        """Credits per second."""
        return self.credits / self.seconds

    def figures(self) -> dict[str, float]:
        """The reported figures."""
        return {
            "credits_per_s": round(self.rate),
            "start_cpu_s": round(self.start_cpu_s, 2),
            "cpu_ms_per_credit": round(self.cpu_s / self.target * 1000, 3),
            "log_bytes_per_credit": round(self.log.bytes / self.target),
            "log_page_bytes_per_credit": round(self.log.page_bytes / self.target),
            "rows_inserted_per_credit": round(self.log.rows_inserted / self.target, 2),
            "rows_updated_per_credit": round(self.log.rows_updated / self.target, 2),
            "index_entries_per_credit": round(self.log.index_entries / self.target, 2),
            "batch_p50_ms": round(self.batch_p50_ms, 1),
            "batch_p99_ms": round(self.batch_p99_ms, 1),
        }


def keep_log(stack: Stack) -> None:
    """Let PostgreSQL keep the write-ahead log of a whole run, also after a checkpoint."""
    stack.postgres.run_sql("ALTER SYSTEM SET wal_keep_size = '8GB'")
    stack.postgres.run_sql("SELECT pg_reload_conf()")


class Reading(NamedTuple):
    """The use of the server and of a side's processes so far."""

    side_cpu_s: float
    postgres_cpu_s: float
    position: str
    """The position in the write-ahead log."""


class Meter:
    """Reads the use of a side; the difference of two readings is the cost between them."""

    def __init__(self, stack: Stack, *, processes: Sequence[int]) -> None:
        """``processes`` are the ids of the side's processes."""
        self._stack = stack
        self._processes = processes

    def read(self) -> Reading:
        """Read everything now."""
        return Reading(
            side_cpu_s=sum(cpu_s(pid) for pid in self._processes),
            postgres_cpu_s=cpu_s(self._stack.supervisor.pid("postgres")),
            position=self._stack.postgres.run_sql("SELECT pg_current_wal_flush_lsn()"),
        )

    def log_between(self, before: Reading, after: Reading) -> LogUse:
        """The contents of the write-ahead log between two readings."""
        done = subprocess.run(
            (
                str(binaries() / "pg_waldump"),
                *("--path", str(self._stack.postgres.data_dir / "pg_wal"), "--stats=record"),
                *("--start", before.position, "--end", after.position),
            ),
            text=True,
            capture_output=True,
            check=True,
        )
        return parse_log(done.stdout)


# Columns: kind, number of records, bytes of records, bytes of whole pages, each with its share in parentheses.
_RECORD = re.compile(r"^(\S+/\S+)\s+(\d+) \(.*?\)\s+(\d+) \(.*?\)\s+(\d+) \(", re.MULTILINE)


def parse_log(text: str) -> LogUse:
    """What ``pg_waldump --stats=record`` printed."""
    found = [(name, int(count), int(size), int(pages)) for name, count, size, pages in _RECORD.findall(text)]

    def count_of(*kinds: str) -> int:
        return sum(count for name, count, _, _ in found if name.partition("+")[0] in kinds)

    return LogUse(
        bytes=sum(size + pages for _, _, size, pages in found),
        page_bytes=sum(pages for _, _, _, pages in found),
        rows_inserted=count_of("Heap/INSERT"),
        rows_updated=count_of("Heap/UPDATE", "Heap/HOT_UPDATE"),
        index_entries=count_of("Btree/INSERT_LEAF", "Btree/INSERT_POST", "Btree/SPLIT_L", "Btree/SPLIT_R"),
    )


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and its children, ended ones included."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        try:
            used = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return float(total)


async def watch(database: str, *, progress: str, credits_query: str, target: int) -> tuple[int, float]:
    """Look until there are ``target`` credits in all; returns credits and seconds between the first look that saw progress
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
    """The count that ``query`` returns."""
    connection = await asyncpg.connect(database)
    try:
        found: int = await connection.fetchval(query)
        return found
    finally:
        await connection.close()
