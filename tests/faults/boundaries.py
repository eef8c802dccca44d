"""Write boundaries of payouts, counted, and the kill of its process at one of them.

A boundary is the commit of a transaction that wrote something, or a call to the rail. Each has points at which the process may be
killed: before and after a commit; before a call, while the request is under way, and after the rail has answered.

A kill usually ends the service inside the test's own process. It leaves the same behind as ``os._exit``: memory is lost, and what
remains is in PostgreSQL and in the rail's journal. From the kill on, every commit and every call raises ``Killed``, so that no
cleanup reaches either of them. Open connections are closed, and their transactions are rolled back, as PostgreSQL does it for a
process that is gone. A test compares both kinds.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

from asyncpg.transaction import Transaction

from prizewire_rail_fake import FakeProvider

CALLS: Final = ("create_payout", "sync_status", "cancel")
EXIT_CODE: Final = 9
"""The exit code of a process that ``os._exit`` has ended."""
Late = Callable[[FakeProvider, datetime], Awaitable[object]]
"""A request that was under way when the process that sent it was killed: the rail gets it later."""


class Killed(BaseException):
    """The process was killed. It is no ``Exception``, so that no handler of errors goes on after it."""


@dataclass(slots=True)
class Points:
    """The points that one process has passed. It is killed at number ``kill_at`` (from 0): by ``os._exit`` where it ``exits``, else
    inside the test's process.
    """

    kill_at: int | None = None
    exits: bool = False
    passed: list[str] = field(default_factory=list)
    killed: bool = False

    def reach(self, name: str, *, at_kill: Callable[[], None] | None = None) -> None:
        """Pass a point, or be killed at it; ``at_kill`` is called first.

        Raises:
            Killed: the process is killed here, or was killed before.
        """
        if self.killed:
            raise Killed
        self.passed.append(name)
        if len(self.passed) - 1 == self.kill_at:
            self.killed = True
            if self.exits:
                os._exit(EXIT_CODE)
            if at_kill is not None:
                at_kill()
            raise Killed(name)


@dataclass(slots=True)
class Boundaries:
    """Counts the boundaries of the ``running`` process. Without one, commits and calls pass uncounted."""

    running: Points | None = None
    late: list[tuple[str, Late]] = field(default_factory=list)
    """By the name of the rail."""
    calls: int = 0
    """How many calls have reached the rail, of all processes."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch every commit, and every call to a fake rail, until the block ends."""
        with patch.object(Transaction, "commit", self._commit()), patch("asyncio.to_thread", _at_once):
            replaced = [patch.object(FakeProvider, name, self._call(name)) for name in CALLS]
            for one in replaced:
                one.start()
            try:
                yield
            finally:
                for one in replaced:
                    one.stop()

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Read the database without counting."""
        running, self.running = self.running, None
        try:
            yield
        finally:
            self.running = running

    def _commit(self) -> Any:
        commit = Transaction.commit

        async def watched(transaction: Transaction) -> None:
            running = self.running
            # a transaction that only reads leaves nothing behind
            wrote = running is not None and await transaction._connection.fetchval(
                "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
            )
            if running is None or not wrote:
                await commit(transaction)
                return
            running.reach("before a commit")
            await commit(transaction)
            running.reach("after a commit")

        return watched

    def _call(self, name: str) -> Any:
        call = getattr(FakeProvider, name)

        async def watched(provider: FakeProvider, subject: Any, *, now: datetime) -> Any:
            running = self.running
            if running is None:
                return await call(provider, subject, now=now)

            def arrive_later() -> None:
                rail = provider.capabilities().rail
                self.late.append((rail, lambda other, then: call(other, subject, now=then)))

            running.reach(f"before {name}")
            running.reach(f"while {name} is under way", at_kill=arrive_later)
            self.calls += 1
            answer = await call(provider, subject, now=now)
            running.reach(f"after {name}")
            if name == "sync_status":
                await self.deliver(provider, now=now)
            return answer

        return watched

    async def deliver(self, provider: FakeProvider, *, now: datetime) -> None:
        """Let a rail get the requests of killed processes."""
        rail, late, self.late = provider.capabilities().rail, self.late, []
        for name, request in late:
            if name == rail:
                await request(provider, now)
            else:
                self.late.append((name, request))


def distinct(points: Sequence[str]) -> list[int]:
    """The numbers of points that leave different things behind, where there is one payout. A point before a boundary leaves the
    same as the point after the boundary before it.
    """
    return [number for number, name in enumerate(points) if number == 0 or not name.startswith("before ")]


async def end_tasks(others: set[asyncio.Task[Any]]) -> None:
    """End every task of this loop but ``others`` and the present one."""
    own = asyncio.all_tasks() - others - {asyncio.current_task()}
    for task in own:
        task.cancel()
    await asyncio.gather(*own, return_exceptions=True)


async def _at_once(function: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
    """Stands for ``asyncio.to_thread``: a process with one payout then passes the same points every time."""
    return function(*args, **named)
