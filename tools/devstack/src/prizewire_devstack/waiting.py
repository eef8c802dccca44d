"""Wait for a condition with a deadline, instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")

DEADLINE_S: Final = 600.0
POLL_S: Final = 0.05


class NotInTimeError(AssertionError):
    """The condition did not hold before the deadline."""


def _complain(condition: object, last: object, deadline_s: float) -> NotInTimeError:
    name = getattr(condition, "__qualname__", repr(condition))
    return NotInTimeError(f"{name} did not hold within {deadline_s} s; its last result was {last!r}")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], *, deadline_s: float = ..., poll_s: float = ...
) -> T: ...


@overload
async def eventually(condition: Callable[[], T], *, deadline_s: float = ..., poll_s: float = ...) -> T: ...


async def eventually(
    condition: Callable[[], Any], *, deadline_s: float = DEADLINE_S, poll_s: float = POLL_S
) -> Any:
    """Call `condition` (a function or a coroutine function) until its result is true; return the result.

    An AssertionError inside the condition counts as "not yet".

    Raises:
        NotInTimeError: the deadline passed.
        AssertionError: the deadline passed while the condition still raised it.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            answer = condition()
            last = await answer if inspect.isawaitable(answer) else answer
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        else:
            if last:
                return last
            if time.monotonic() > deadline:
                raise _complain(condition, last, deadline_s)
        await asyncio.sleep(poll_s)


def eventually_sync(
    condition: Callable[[], T], *, deadline_s: float = DEADLINE_S, poll_s: float = POLL_S
) -> T:
    """As `eventually`, for plain functions outside an event loop."""
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            last = condition()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        else:
            if last:
                return last
            if time.monotonic() > deadline:
                raise _complain(condition, last, deadline_s)
        time.sleep(poll_s)
