"""Calls of a worker that are under way, and how far ahead of them attempts are opened."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiolimiter import AsyncLimiter

from prizewire_contracts.rails import Capabilities
from prizewire_payouts.payouts.handlers.outcomes import Answer

_ROUNDS_AHEAD_MAX = 8
"""The most attempts ahead of the rail, in units of its concurrency."""
_LINGER_MAX_S = 0.02
_NEWEST = 0.2
"""The weight of the newest measurement in a mean."""


@dataclass(slots=True)
class Calls:
    """Calls under way and answers that are not stored yet."""

    under_way: set[asyncio.Task[Answer | None]] = field(default_factory=set)
    answered: list[Answer] = field(default_factory=list)
    unstored: bool = False
    """The last attempt to store them failed."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, calls: Sequence[Coroutine[Any, Any, Answer | None]]) -> None:
        """Start these calls."""
        self.under_way.update(asyncio.create_task(call) for call in calls)

    async def collect(self, *, timeout_s: float, linger_s: float = 0.0) -> None:
        """Wait until a call has ended, the worker is woken, or the time is over. After the first call that has ended, wait
        ``linger_s`` for others, so that their answers are stored together.
        """
        if not self.under_way:
            return
        waiting = asyncio.create_task(self.woken.wait())
        try:
            await asyncio.wait(
                {*self.under_way, waiting}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        self.woken.clear()
        if linger_s > 0 and any(task.done() for task in self.under_way):
            await asyncio.wait(self.under_way, timeout=linger_s)
        done = {task for task in self.under_way if task.done()}
        self.under_way -= done
        self.answered.extend(answer for task in done if (answer := task.result()) is not None)


class Turns:
    """Spaces the calls to a rail evenly, in the order in which they wait, so that payments and look-ups take turns. A rail without a
    limit is called at once. The limit holds for one process.
    """

    def __init__(self, calls_per_s: int | None) -> None:
        self._limiter = None if calls_per_s is None else AsyncLimiter(1, 1 / calls_per_s)

    async def wait(self) -> None:
        """Wait for the next turn."""
        if self._limiter is not None:
            await self._limiter.acquire()


@dataclass(slots=True)
class Pace:
    """How long a call takes, and how long it takes to open attempts and to store answers: means in seconds, the newest weighs most."""

    call_s: float = 0.0
    storing_s: float = 0.0

    def note_call(self, seconds: float) -> None:
        """A call took this long."""
        self.call_s += _NEWEST * (seconds - self.call_s)

    def note_storing(self, seconds: float) -> None:
        """Opening attempts and storing answers took this long."""
        self.storing_s += _NEWEST * (seconds - self.storing_s)

    @property
    def linger_s(self) -> float:
        """How long an answer may wait for others: a small part of a call."""
        return min(self.call_s / 4, _LINGER_MAX_S)

    def open_max(self, capabilities: Capabilities, *, within_s: float) -> int:
        """The most attempts that may be open, so that each gets its turn ``within_s`` seconds of its opening. A payment takes two calls
        where it has a quote, and look-ups take every second turn at most.
        """
        most = capabilities.concurrency + self.ahead(capabilities)
        if capabilities.calls_per_s is None:
            return most
        return min(most, max(1, int(capabilities.calls_per_s * within_s / 4)))

    def ahead(self, capabilities: Capabilities) -> int:
        """How many attempts to open before the rail can take their calls. They are opened again when half of them are left, so they
        are twice as many as the rail answers until the next ones are opened.

        No more than that: after a crash each of them is unknown until the rail is asked. A rail that cannot be asked by our key
        has as many ahead as it takes calls.
        """
        rounds = 1
        if self.call_s > 0 and capabilities.look_up_by_key:
            rounds = min(max(math.ceil(2 * self.storing_s / self.call_s), 1), _ROUNDS_AHEAD_MAX)
        return capabilities.concurrency * rounds
