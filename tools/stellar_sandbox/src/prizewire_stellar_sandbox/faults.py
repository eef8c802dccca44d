"""Faults that a test switches on: failures that a real node or its network connection has now and then.

Each is a counter: the fault happens in the next n calls to which it applies. A new fault is a line in :data:`FAULTS` and
one call of :meth:`Faults.hits` where it happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FAULTS: Final[Mapping[str, str]] = {
    "lose_answer": "sendTransaction queues the transaction, and the connection breaks before the answer is complete",
    "try_again_later": "sendTransaction answers TRY_AGAIN_LATER and queues nothing",
    "not_found": "getTransaction answers NOT_FOUND",
}


class UnknownFault(ValueError):
    """No fault has this name, or its count is not a number from zero up."""


class Faults:
    """The counters. They live in memory: a restart clears them."""

    def __init__(self) -> None:
        self._left = dict.fromkeys(FAULTS, 0)

    def arm(self, counts: Mapping[str, object]) -> None:
        """Set counters; those not named stay as they are.

        Raises:
            UnknownFault: nothing was set.
        """
        for name, count in counts.items():
            if name not in FAULTS:
                raise UnknownFault(f"unknown fault {name!r}; known are {', '.join(FAULTS)}")
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise UnknownFault(f"{name} needs a count from 0 up, not {count!r}")
        self._left.update({name: count for name, count in counts.items() if isinstance(count, int)})

    def left(self) -> dict[str, int]:
        """How often each fault will still happen."""
        return dict(self._left)

    def hits(self, name: str) -> bool:
        """Whether the fault happens in this call; counts it down."""
        if not self._left[name]:
            return False
        self._left[name] -= 1
        return True
