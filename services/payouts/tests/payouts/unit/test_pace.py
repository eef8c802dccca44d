"""How many attempts a rail's worker opens ahead of the rail."""

import asyncio
import time

import pytest

from prizewire_contracts.rails import Capabilities, RailType
from prizewire_payouts.payouts.jobs.calls import Pace, Turns


def capabilities(*, look_up_by_key: bool = True, calls_per_s: int | None = None) -> Capabilities:
    return Capabilities(
        rail="fake",
        type=RailType.FAKE,
        assets=frozenset({"EURC"}),
        method_types=frozenset({"fake"}),
        look_up_by_key=look_up_by_key,
        concurrency=8,
        calls_per_s=calls_per_s,
    )


@pytest.mark.parametrize(
    ("call_s", "storing_s", "ahead"),
    [(0.0, 0.0, 8), (0.0, 1.0, 8), (1.0, 0.02, 8), (0.05, 0.04, 16), (0.05, 0.1, 32), (0.05, 10.0, 64)],
)
def test_as_many_are_ahead_as_the_database_needs(call_s: float, storing_s: float, ahead: int) -> None:
    """Twice as many as the rail answers while attempts are opened: at least its concurrency, at most eight times that."""
    assert Pace(call_s=call_s, storing_s=storing_s).ahead(capabilities()) == ahead


def test_few_are_ahead_where_a_crash_leaves_them_unknown() -> None:
    """A rail that cannot be asked by our key has no more attempts ahead than it takes calls: people must find out about each."""
    assert Pace(call_s=0.05, storing_s=10.0).ahead(capabilities(look_up_by_key=False)) == 8


def test_a_mean_follows_what_is_measured() -> None:
    """After some calls the mean is near their time, whatever it was before."""
    pace = Pace(call_s=5.0)
    for _ in range(30):
        pace.note_call(0.05)
    assert pace.call_s == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(("calls_per_s", "most"), [(None, 16), (1000, 16), (4, 10), (1, 2)])
def test_no_more_is_open_than_gets_its_turn(calls_per_s: int | None, most: int) -> None:
    """Within ten seconds, with two calls for each payment and a look-up beside each of them."""
    assert Pace().open_max(capabilities(calls_per_s=calls_per_s), within_s=10) == most


def test_a_slow_rail_has_one_open() -> None:
    """However short the time is."""
    assert Pace().open_max(capabilities(calls_per_s=1), within_s=0) == 1


async def test_turns_are_spaced_and_taken_in_order() -> None:
    """In no second more calls begin than the rail allows, and one that waits is not passed."""
    turns, began = Turns(50), time.perf_counter()
    order: list[tuple[int, float]] = []

    async def call(number: int) -> None:
        await turns.wait()
        order.append((number, time.perf_counter() - began))

    await asyncio.gather(*(call(number) for number in range(10)))
    assert [number for number, _ in order] == list(range(10))
    for number, at in order:
        assert at >= number / 50 - 0.001


async def test_a_rail_without_a_limit_is_called_at_once() -> None:
    """Nothing waits."""
    async with asyncio.timeout(5):
        for _ in range(10_000):
            await Turns(None).wait()
