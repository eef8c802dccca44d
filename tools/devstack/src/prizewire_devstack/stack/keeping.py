"""Keep the parts of a stack running: restart parts that ended, and parts that `prizewire restart` names.

Only `prizewire up` does so. The supervisor restarts nothing, so that tests decide which part runs again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from prizewire_devstack.components.processes import Supervisor
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.stack.control import Request, Requests

PAUSE_S_MAX: Final = 60.0
STEADY_S: Final = 60.0
"""After so many seconds of running, a part gets the shortest pause again."""


class Parts(Protocol):
    """A running stack, as far as its parts are stopped and started."""

    supervisor: Supervisor

    def start_again(self, part: str) -> None:
        """Start a part that ended."""

    def stop(self, part: str) -> None:
        """Stop a part cleanly."""

    def is_ready(self, part: str) -> bool:
        """Say whether a part answers now."""


@dataclass(kw_only=True)
class _Part:
    """The state of a part that ended at least once or was restarted."""

    failures: int = 0
    due_s: float | None = None
    """The time at which to start it; None if it is not to be started."""
    started_s: float | None = None
    awaited: bool = False
    """Whether it was started and is not ready yet."""
    request: Request | None = None


class Keeper:
    """Restarts parts at each call of ``look``; it never waits until one of them is ready."""

    def __init__(
        self,
        *,
        stack: Parts,
        requests: Requests,
        say: Callable[[str], None],
        may_start: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`may_start` is False while no part can run, such as with a full disk."""
        self._stack = stack
        self._requests = requests
        self._say = say
        self._may_start = may_start
        self._clock = clock
        self._parts: dict[str, _Part] = {}

    def ended(self, part: str) -> str:
        """Schedule the restart of a part that ended by itself. Returns a sentence with the pause."""
        known = self._parts.setdefault(part, _Part())
        now = self._clock()
        if known.started_s is not None and now - known.started_s >= STEADY_S:
            known.failures = 0
        pause_s = min(PAUSE_S_MAX, 2.0**known.failures)
        known.failures += 1
        known.due_s = now + pause_s
        self._reply(known, done=False, sentence=f"{part} ended while it started: see its log.")
        return f"It is started again in {pause_s:.0f} s."

    def look(self) -> None:
        """Start parts that are due, report parts that became ready, and process requests."""
        for request in self._requests.take():
            self._restart(request)
        now = self._clock()
        for name, part in self._parts.items():
            if part.due_s is not None and now >= part.due_s and self._may_start():
                self._start(name, part)
            elif part.awaited and self._stack.supervisor.is_running(name) and self._stack.is_ready(name):
                part.awaited = False
                self._say(f"{name} is ready again.")
                self._reply(part, done=True, sentence=f"{name} was restarted and is ready.")

    def _start(self, name: str, part: _Part) -> None:
        part.due_s = None
        try:
            self._stack.start_again(name)
        except DevstackError as error:
            self._say(f"{name} could not be started: {error} {self.ended(name)}")
            return
        part.started_s = self._clock()
        part.awaited = True
        self._say(f"{name} was started again.")

    def _restart(self, request: Request) -> None:
        known = self._stack.supervisor.parts()
        name = request.part
        if name not in known:
            sentence = f"The stack has no part {name!r}: it has {', '.join(sorted(known))}."
            self._requests.answer(request, done=False, sentence=sentence)
            return
        self._say(f"{name} is restarted on request.")
        part = self._parts.setdefault(name, _Part())
        self._reply(part, done=False, sentence=f"Another command requested a restart of {name}.")
        self._stack.stop(name)
        self._requests.note(request, f"{name} has stopped.")
        part.failures, part.request = 0, request
        self._start(name, part)
        if part.awaited:
            self._requests.note(request, f"{name} was started. Waiting until it is ready.")

    def _reply(self, part: _Part, *, done: bool, sentence: str) -> None:
        if part.request is not None:
            request, part.request = part.request, None
            self._requests.answer(request, done=done, sentence=sentence)
