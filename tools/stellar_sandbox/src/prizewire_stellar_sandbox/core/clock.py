"""When ledgers close.

A ledger without transactions changes only its number and its time, so it is not stored: the numbers are computed from
the last stored ledger (the anchor) and the interval. An idle sandbox does no work, and after a stop the ledger number is
the same as if the sandbox had run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SECOND_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class LedgerPoint:
    """A ledger in time.

    ``close_time`` is what the protocol sees, in whole Unix seconds; ``closed_at_ms`` is the wall clock at which
    the next interval began; ``interval_ms`` is how fast ledgers follow from here on.
    """

    sequence: int
    close_time: int
    closed_at_ms: int
    interval_ms: int

    @property
    def next_close_ms(self) -> int:
        """When the following ledger is due."""
        return self.closed_at_ms + self.interval_ms

    def after(self, ledgers: int) -> LedgerPoint:
        """The point that many empty ledgers later.

        Close times rise strictly, as on the network, unless ledgers close faster than once a second: then several
        share a second, so that they do not run ahead of the wall clock.
        """
        closed_at_ms = self.closed_at_ms + ledgers * self.interval_ms
        step = ledgers if self.interval_ms >= _SECOND_MS else 0
        return LedgerPoint(
            sequence=self.sequence + ledgers,
            close_time=max(self.close_time + step, closed_at_ms // _SECOND_MS),
            closed_at_ms=closed_at_ms,
            interval_ms=self.interval_ms,
        )

    def at(self, *, now_ms: int) -> LedgerPoint:
        """The last ledger closed by now, when all since this point were empty."""
        if now_ms < self.closed_at_ms:  # the wall clock was set back: continue from its present time
            return LedgerPoint(self.sequence, self.close_time, now_ms, self.interval_ms)
        return self.after((now_ms - self.closed_at_ms) // self.interval_ms)

    def late(self, *, now_ms: int) -> LedgerPoint:
        """The one next ledger, closed now: late where the machine was busy, never skipped."""
        due = max(1, (now_ms - self.closed_at_ms) // self.interval_ms)
        last = self.after(due)
        step = 1 if self.interval_ms >= _SECOND_MS else 0
        return LedgerPoint(
            sequence=self.sequence + 1,
            close_time=max(self.close_time + step, last.closed_at_ms // _SECOND_MS),
            closed_at_ms=last.closed_at_ms,
            interval_ms=self.interval_ms,
        )


def genesis(*, now_ms: int, interval_ms: int) -> LedgerPoint:
    """Ledger 1 of a new network."""
    return LedgerPoint(1, now_ms // _SECOND_MS, now_ms, interval_ms)
