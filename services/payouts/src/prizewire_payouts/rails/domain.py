"""What a rail costs, and its circuit breaker: no payments are begun on a rail that does not answer."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from prizewire_money import Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class RailCost:
    """What a payment in one asset costs the platform: ``fixed``, and a ``share`` of its amount, from 0 to 1."""

    fixed: Amount
    share: Decimal

    def of(self, *, amount: Amount) -> Fraction:
        """The exact cost of a payment in minor units, which may be no whole number."""
        return self.fixed.minor + amount.minor * Fraction(self.share)


class CircuitState(StrEnum):
    """Whether payments are begun on a rail."""

    CLOSED = "closed"
    """They are."""
    OPEN = "open"
    """They wait, until it is time for one payment that tries the rail."""
    PROBING = "probing"
    """One payment tries the rail, the others wait."""


@dataclass(slots=True, kw_only=True)
class Circuit:
    """It opens after ``failures_max`` calls in a row that begin a payment and get no clear answer, for ``rest_first``. Then one payment
    tries the rail: an answer closes the circuit, another failure doubles the rest, up to ``rest_max``.

    Look-ups are never held up, since only they prove the outcome of a payment. The state is that of one process.
    """

    failures_max: int = 20
    rest_first: timedelta = timedelta(seconds=5)
    rest_max: timedelta = timedelta(minutes=2)
    state: CircuitState = field(default=CircuitState.CLOSED, init=False)
    failures: int = field(default=0, init=False)
    _rest: timedelta = field(default=timedelta(), init=False)
    _next_at: datetime | None = field(default=None, init=False)

    def admits(self, *, room: int, now: datetime) -> int:
        """How many of ``room`` payments may be begun now."""
        if self.state is CircuitState.CLOSED:
            return room
        assert self._next_at is not None
        return min(room, 1) if now >= self._next_at else 0

    def begun(self, *, now: datetime) -> None:
        """A payment was begun. Where the circuit is open, it tries the rail; if its answer is lost, the next one does after the rest."""
        if self.state is not CircuitState.CLOSED:
            self.state = CircuitState.PROBING
            self._next_at = now + self._rest

    def answered(self, *, clear: bool, now: datetime) -> None:
        """A call that begins a payment ended: with a clear answer of the rail, or without one."""
        if clear:
            self.state, self.failures = CircuitState.CLOSED, 0
            return
        self.failures += 1
        if self.state is CircuitState.PROBING:
            self._rest = min(2 * self._rest, self.rest_max)
        elif self.state is CircuitState.CLOSED and self.failures >= self.failures_max:
            self._rest = self.rest_first
        else:
            return
        self.state, self._next_at = CircuitState.OPEN, now + self._rest
