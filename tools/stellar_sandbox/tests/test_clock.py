"""When ledgers close, worked out without closing any."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prizewire_stellar_sandbox.core.clock import LedgerPoint, genesis


def test_ledgers_follow_the_interval() -> None:
    """One ledger for each whole interval that has passed."""
    start = genesis(now_ms=10_500, interval_ms=5000)
    assert (start.sequence, start.close_time) == (1, 10)
    assert start.at(now_ms=15_499).sequence == 1
    assert start.at(now_ms=15_500) == LedgerPoint(2, 15, 15_500, 5000)
    assert start.at(now_ms=10_500 + 86_400_000).sequence == 1 + 17_280


def test_fast_ledgers_share_a_second() -> None:
    """Below a second the close time follows the wall clock instead of running ahead."""
    point = genesis(now_ms=1000, interval_ms=100).at(now_ms=1950)
    assert (point.sequence, point.close_time) == (10, 1)


def test_clock_set_back() -> None:
    """When the wall clock is set back, neither number nor time goes back, and ledgers go on."""
    start = genesis(now_ms=50_000, interval_ms=1000)
    behind = start.at(now_ms=20_000)
    assert (behind.sequence, behind.close_time) == (1, 50)
    assert behind.at(now_ms=21_000) == LedgerPoint(2, 51, 21_000, 1000)


def test_late_ledger_is_one_ledger() -> None:
    """A ledger with transactions that closes late is still only one ledger, with the time at which it closes."""
    start = genesis(now_ms=10_000, interval_ms=1000)
    assert start.late(now_ms=13_700) == LedgerPoint(2, 13, 13_000, 1000)
    assert start.late(now_ms=10_200) == LedgerPoint(2, 11, 11_000, 1000)


@given(
    interval=st.integers(1, 7000),
    steps=st.lists(st.tuples(st.integers(-3000, 20_000), st.booleans()), max_size=20),
)
def test_never_goes_back(interval: int, steps: list[tuple[int, bool]]) -> None:
    """Number and close time never fall; with intervals of a second or more every ledger has its own time."""
    now_ms = 1_000_000
    point = genesis(now_ms=now_ms, interval_ms=interval)
    for step, late in steps:
        now_ms += step
        following = point.late(now_ms=now_ms) if late else point.at(now_ms=now_ms)
        ledgers = following.sequence - point.sequence
        assert ledgers >= (1 if late else 0)
        assert following.close_time >= point.close_time + (ledgers if interval >= 1000 else 0)
        point = following


@given(interval=st.integers(1, 7000), first=st.integers(0, 500), second=st.integers(0, 500))
def test_steps_add_up(interval: int, first: int, second: int) -> None:
    """It makes no difference whether empty ledgers are counted at once or in two goes."""
    start = genesis(now_ms=123_456, interval_ms=interval)
    assert start.after(first).after(second) == start.after(first + second)
